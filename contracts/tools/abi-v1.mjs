#!/usr/bin/env node
// Proves that each function, event and error of version 1 (test/abi-v1.json) is in the artifacts
// with the same types, so that programs written for the live contracts work with these.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const read = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));

/// A parameter's type; a tuple's parts keep their names, because readers use them.
function type(parameter) {
  if (!parameter.type.startsWith("tuple")) return parameter.type;
  const parts = parameter.components.map((part) => `${type(part)} ${part.name}`);
  return `(${parts.join(",")})${parameter.type.slice("tuple".length)}`;
}

function signature(entry) {
  const inputs = (entry.inputs ?? []).map(
    (input) => type(input) + (entry.type === "event" && input.indexed ? " indexed" : ""),
  );
  const outputs = (entry.outputs ?? []).map(type);
  return [
    entry.type,
    `${entry.name ?? ""}(${inputs.join(",")})`,
    entry.type === "function" ? `returns (${outputs.join(",")})` : "",
    entry.stateMutability ?? "",
    entry.anonymous ? "anonymous" : "",
  ]
    .filter(Boolean)
    .join(" ");
}

let missing = 0;
let found = 0;
for (const [contract, entries] of Object.entries(read("test/abi-v1.json"))) {
  const ours = new Set(read(`artifacts/${contract}.json`).abi.map(signature));
  for (const entry of entries) {
    if (ours.has(signature(entry))) {
      found += 1;
      continue;
    }
    missing += 1;
    console.error(`${contract} has no ${signature(entry)}`);
  }
}
if (missing > 0 || found === 0) process.exit(1);
console.log(`abi of version 1: ok, ${found} entries`);
