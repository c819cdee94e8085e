#!/usr/bin/env node
// Compiles one changed source after the other with the settings of foundry.toml, without starting
// the compiler anew: a line `{"path", "content", "target", "optimize"}` on stdin is answered by `{"contracts"}`
// (creation and runtime code by name, of the source `target`) or `{"error"}`. Every other source is read from disk.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import solc from "solc";

const settings = {
  remappings: ["@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/"],
  evmVersion: "cancun",
  metadata: { appendCBOR: false, bytecodeHash: "none" },
  outputSelection: { "*": { "*": ["evm.bytecode.object", "evm.deployedBytecode.object"] } },
};

function read(path) {
  try {
    return { contents: readFileSync(path, "utf8") };
  } catch (error) {
    return { error: String(error) };
  }
}

function compile({ path, content, target, optimize }) {
  const optimizer = { enabled: optimize, runs: 200 };
  const sources = { [target]: { content: readFileSync(target, "utf8") }, [path]: { content } };
  const input = { language: "Solidity", sources, settings: { ...settings, optimizer } };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }));
  const error = (output.errors ?? []).find((entry) => entry.severity === "error");
  if (error) return { error: error.formattedMessage };
  const contracts = {};
  for (const [name, { evm }] of Object.entries(output.contracts[target])) {
    contracts[name] = [evm.bytecode.object, evm.deployedBytecode.object];
  }
  return { contracts };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(compile(JSON.parse(line)))}\n`);
}
