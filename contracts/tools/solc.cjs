#!/usr/bin/env node
// Answers the two questions forge asks a Solidity compiler, from the npm package `solc`:
// `--version`, and `--standard-json` with the input (every source inlined) on stdin.
const { readFileSync, writeSync } = require("node:fs");
const solc = require("solc");
const soljson = require("solc/soljson.js");

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

// The package hands the input over on the compiler's stack, whose size is fixed and less than that of all
// our sources with forge's. In the heap there is room.
function compile(input) {
  const size = soljson.lengthBytesUTF8(input) + 1;
  const at = soljson._solidity_alloc(size);
  soljson.stringToUTF8(input, at, size);
  return soljson.UTF8ToString(soljson._solidity_compile(at, 0, 0));
}

if (process.argv.includes("--version")) {
  write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (process.argv.includes("--standard-json")) {
  write(compile(readFileSync(0, "utf8")));
} else {
  process.stderr.write("usage: solc.cjs --version | --standard-json\n");
  process.exit(2);
}
