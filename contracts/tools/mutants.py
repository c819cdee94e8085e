#!/usr/bin/env python3
"""Tries the functional tests on mutants of the contracts: each has to be killed, to have the very
bytecode of the original, or to be explained by a line of `test/mutants.txt`.

    mutants.py full [CONTRACT…]    every mutant of slither-mutate and of `mutant_sources.py`
    mutants.py short               those that `test/mutants.short` names
    mutants.py list [CONTRACT…]    only names them

Runs in a copy of the contracts' folder that `mutants.sh` makes. A mutant is compiled by itself and
its bytecode is put where forge, told to link dynamically, takes the contract from: the tests are
compiled once. The tests are those of the calls, fuzzed ones among them (profile `mutants`): gas,
invariants, deployment and fork are not in the copy.
"""

import json
import os
import queue
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutant_sources import CONTRACTS, collect, of_ours, of_slither, short, source, whole

EXPLAINED = Path("test/mutants.txt")
SHORT = Path("test/mutants.short")
FORGE = ["forge", "test", "--fail-fast"]
# The channels have nothing to do with the pair, so each has its own tests.
CHANNEL_TESTS = "test/channels/*"
# A run takes seconds; a mutant that loops runs out of gas long before this.
LIMIT_S = 300
FEWEST = 100


def lines(path):
    """The rows of a data file, without comments."""
    text = path.read_text(encoding="utf8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


class Bench:
    """A copy of the built folder, and a compiler that stays warm."""

    def __init__(self, folder):
        self.folder = folder
        self.compiler = subprocess.Popen(
            ["node", "tools/compile.mjs"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def compile(self, contract, text, optimize=False):
        """The creation and runtime code of a source, or None if it does not compile. Unoptimized,
        as the tests run it, it takes a third of the time."""
        target = str(source(whole(contract)))
        request = {
            "path": str(source(contract)),
            "content": text,
            "target": target,
            "optimize": optimize,
        }
        self.compiler.stdin.write(json.dumps(request) + "\n")
        self.compiler.stdin.flush()
        answer = json.loads(self.compiler.stdout.readline())
        return tuple(answer["contracts"][whole(contract)]) if "contracts" in answer else None

    def artifact(self, contract):
        """Where forge keeps a contract's bytecode."""
        contract = whole(contract)
        return self.folder / "out" / f"{contract}.sol" / f"{contract}.json"

    def code(self, contract):
        """The code that forge built."""
        built = json.loads(self.artifact(contract).read_text(encoding="utf8"))
        return tuple(built[key]["object"][2:] for key in ("bytecode", "deployedBytecode"))

    def put(self, contract, code):
        """Puts code into the artifact."""
        built = json.loads(self.artifact(contract).read_text(encoding="utf8"))
        for key, value in zip(("bytecode", "deployedBytecode"), code):
            built[key]["object"] = "0x" + value
        self.artifact(contract).write_text(json.dumps(built), encoding="utf8")

    def failing(self, contract):
        """The first test of a contract that fails, or None."""
        which = "--match-path" if whole(contract) == "PaymentChannels" else "--no-match-path"
        run = subprocess.run(
            [*FORGE, which, CHANNEL_TESTS],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        if "Compiling" in run.stdout:
            raise RuntimeError(f"forge compiled again, so it did not test the mutant\n{run.stdout}")
        for line in run.stdout.splitlines():
            if line.startswith("[FAIL"):
                return line
        if run.returncode != 0 or "0 failed" not in run.stdout:
            raise RuntimeError(f"forge failed without a failing test\n{run.stdout}{run.stderr}")
        return None

    def close(self):
        """Ends the compiler."""
        self.compiler.stdin.close()
        self.compiler.wait()


def benches(count):
    """Builds once, so that tests take the contracts from out/, and copies what was built.

    Forge would parse every source anew in each run to link dynamically (7 s of CPU instead of 0.3),
    so the runs are told that this is done with; and the compiler's shim need not start node to say
    its version."""
    subprocess.run(["forge", "build", "--quiet"], check=True)
    cache = Path("cache/solidity-files-cache.json")
    text = cache.read_text(encoding="utf8")
    if '"preprocessed":true' not in text:
        raise RuntimeError("forge did not link dynamically, see profile mutants in foundry.toml")
    cache.write_text(text.replace('"preprocessed":true', '"preprocessed":false'), encoding="utf8")
    os.environ["FOUNDRY_DYNAMIC_TEST_LINKING"] = "false"
    version = subprocess.run(
        ["tools/solc.cjs", "--version"], capture_output=True, text=True, check=True
    ).stdout
    solc = Path("tools/version.sh").resolve()
    solc.write_text(f"#!/bin/sh\ncat <<'END'\n{version}END\n", encoding="utf8")
    solc.chmod(0o755)
    os.environ["FOUNDRY_SOLC"] = str(solc)
    made = []
    for index in range(count):
        folder = Path(f"bench{index}")
        folder.mkdir()
        for name in ("src", "test", "tools", "vectors", "out", "cache"):
            shutil.copytree(name, folder / name)
        shutil.copy2("foundry.toml", folder)
        (folder / "node_modules").symlink_to(Path("node_modules").resolve())
        made.append(Bench(folder))
    for contract in CONTRACTS:
        ours = made[0].compile(contract, source(contract).read_text(encoding="utf8"))
        if ours != made[0].code(contract):
            raise RuntimeError(f"{contract}: tools/compile.mjs builds other code than forge does")
    for contract in ("JobEscrow", "PaymentChannels"):
        failing = made[0].failing(contract)
        if failing:
            raise RuntimeError(f"the tests fail without a mutant: {failing}")
    return made


def run(mutants, made):
    """What became of each mutant: `invalid`, `same`, `killed` or `survived`, and by which test."""
    texts = {contract: source(contract).read_text(encoding="utf8") for contract in CONTRACTS}
    plain = {name: made[0].compile(name, text) for name, text in texts.items()}
    optimized = {name: made[0].compile(name, text, True) for name, text in texts.items()}
    free, seen, results = queue.Queue(), {}, {}
    for bench in made:
        free.put(bench)

    def one(mutant):
        bench = free.get()
        try:
            code = bench.compile(mutant.contract, mutant.text)
            if code is None:
                return "invalid", ""
            if code == plain[mutant.contract]:
                return "same", ""
            if code not in seen:
                bench.put(mutant.contract, code)
                seen[code] = bench.failing(mutant.contract)
                bench.put(mutant.contract, plain[mutant.contract])
            if seen[code]:
                return "killed", seen[code]
            code = bench.compile(mutant.contract, mutant.text, True)
            return ("same" if code == optimized[mutant.contract] else "survived"), ""
        finally:
            free.put(bench)

    started = time.monotonic()
    with ThreadPoolExecutor(len(made)) as pool:
        for mutant, (state, test) in zip(mutants, pool.map(one, mutants)):
            results[mutant.id] = state
            if state != "invalid":
                where = f"{mutant.contract}.sol:{mutant.line}"
                kinds = ",".join(sorted(mutant.kinds))
                print(f"{state:8} {mutant.id} {where} [{kinds}] {mutant.change()} {short(test, 90)}")
                sys.stdout.flush()
    print(f"{time.monotonic() - started:.0f} s")
    return results


def table(mutants, results):
    """How many of each kind and contract became what."""
    rows = {}
    for mutant in mutants:
        for kind in mutant.kinds:
            row = rows.setdefault((mutant.contract, kind), {})
            state = results[mutant.id]
            row[state] = row.get(state, 0) + 1
    states = ("killed", "same", "survived", "invalid")
    print(f"{'contract':18}{'kind':10}" + "".join(f"{state:>10}" for state in states))
    for (contract, kind), row in sorted(rows.items()):
        counts = "".join(f"{row.get(state, 0):>10}" for state in states)
        print(f"{contract:18}{kind:10}{counts}")


def judge(mutants, results, contracts):
    """The faults of a full run: survivors without a line, and lines without a survivor."""
    rows = [row.split() for row in lines(EXPLAINED)]
    explained = {row[0]: " ".join(row) for row in rows if row[1].rstrip(":") in contracts}
    by_id = {mutant.id: mutant for mutant in mutants}
    faults = []
    for name, state in results.items():
        if state == "survived" and name not in explained:
            mutant = by_id[name]
            where = f"{mutant.contract}.sol:{mutant.line}"
            faults.append(f"{name} survives, and no line explains it: {where} {mutant.change()}")
    for name, row in explained.items():
        state = results.get(name, "gone")
        if state != "survived":
            faults.append(f"{EXPLAINED} explains a mutant that is {state}: {row}")
    valid = sum(state != "invalid" for state in results.values())
    if valid < FEWEST:
        faults.append(f"only {valid} mutants compile, {FEWEST} are the least")
    return faults


def chosen(mutants):
    """The mutants that the short form names."""
    rows = [row.split()[0] for row in lines(SHORT)]
    gone = [name for name in rows if name not in mutants]
    if gone:
        raise RuntimeError(f"{SHORT} names mutants that are gone, choose others: {gone}")
    return [mutants[name] for name in rows]


def main(form, *contracts):
    """Runs the form; the exit status says whether all is well."""
    contracts = contracts or CONTRACTS
    if form == "short":
        mutants = chosen(collect(of_ours(CONTRACTS)))
    else:
        mutants = list(collect([*of_slither(contracts), *of_ours(contracts)]).values())
    if form == "list":
        for mutant in mutants:
            print(mutant.id, f"{mutant.contract}.sol:{mutant.line}", mutant.change())
        return 0
    made = benches(int(os.environ.get("MUTANT_JOBS", "2")))
    try:
        results = run(mutants, made)
    finally:
        for bench in made:
            bench.close()
    table(mutants, results)
    if form == "short":
        faults = [f"{name} is {state}" for name, state in results.items() if state != "killed"]
    else:
        faults = judge(mutants, results, contracts)
    for fault in faults:
        print(f"mutants: {fault}", file=sys.stderr)
    if not faults:
        print("mutants: ok")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*(sys.argv[1:] or ["full"])))
