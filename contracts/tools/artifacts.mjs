#!/usr/bin/env node
// Writes artifacts/*.json from what `forge build` left in out/: the ABI and the bytecode that the
// rest of the workspace embeds. `--check` writes nothing and fails when they differ.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const contracts = ["ProviderRegistry", "JobEscrow", "PaymentChannels", "XbzzToken"];

/// Hash of the compiler, its settings and every source that the contract is made of.
function sourceHash(metadata) {
  const hash = createHash("sha256");
  const { compiler, settings } = metadata;
  hash.update(JSON.stringify([compiler.version, settings.optimizer, settings.evmVersion]));
  for (const path of Object.keys(metadata.sources).sort()) {
    const content = createHash("sha256").update(readFileSync(join(root, path))).digest("hex");
    hash.update(`\n${path} ${content}`);
  }
  return `0x${hash.digest("hex")}`;
}

function render(contractName) {
  const built = JSON.parse(
    readFileSync(join(root, "out", `${contractName}.sol`, `${contractName}.json`), "utf8"),
  );
  const metadata =
    typeof built.metadata === "string" ? JSON.parse(built.metadata) : built.metadata;
  return `${JSON.stringify({
    contractName,
    sourceHash: sourceHash(metadata),
    abi: built.abi,
    bytecode: built.bytecode.object,
    deployedBytecode: built.deployedBytecode.object,
  })}\n`;
}

const check = process.argv.includes("--check");
mkdirSync(join(root, "artifacts"), { recursive: true });
let stale = 0;
for (const contractName of contracts) {
  const path = join(root, "artifacts", `${contractName}.json`);
  const text = render(contractName);
  if (!check) {
    writeFileSync(path, text);
    continue;
  }
  let committed = "";
  try {
    committed = readFileSync(path, "utf8");
  } catch {
    // Reported below, as any other difference.
  }
  if (committed !== text) {
    stale += 1;
    console.error(`artifacts/${contractName}.json does not match the sources`);
  }
}
if (stale > 0) {
  console.error("write them again: forge build && node tools/artifacts.mjs");
  process.exit(1);
}
console.log(check ? "artifacts: ok" : "artifacts: written");
