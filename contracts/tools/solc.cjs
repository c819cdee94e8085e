#!/usr/bin/env node
// Answers the two questions forge asks a Solidity compiler, from the npm package `solc`:
// `--version`, and `--standard-json` with the input (every source inlined) on stdin.
const { readFileSync, writeSync } = require("node:fs");
const solc = require("solc");

const version = solc.version().replace(/\.Emscripten\.clang$/, ".Linux.g++");

function write(text) {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) {
    try {
      done += writeSync(1, bytes, done);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

if (process.argv.includes("--version")) {
  write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (process.argv.includes("--standard-json")) {
  write(solc.compile(readFileSync(0, "utf8")));
} else {
  process.stderr.write("usage: solc.cjs --version | --standard-json\n");
  process.exit(2);
}
