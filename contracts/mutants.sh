#!/usr/bin/env bash
# Shows that the tests of the contracts see a change: runs them on mutants, in a copy.
#   ./mutants.sh                     every mutant that slither-mutate and tools/mutant_sources.py make: long
#   ./mutants.sh full CONTRACT…      those of some contracts
#   ./mutants.sh short               those named in test/mutants.short: needs no slither
#   ./mutants.sh list [CONTRACT…]    only names them
# Needs python3 with venv, node and npm. MUTANT_JOBS: how many at a time (2).
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=tools/env.sh
source tools/env.sh

python=python3
if [ "${1:-full}" != short ]; then
    # shellcheck source=tools/slither_env.sh
    source tools/slither_env.sh
    python="$PWD/.venv/bin/python"
fi
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
cp -R foundry.toml slither.config.json src test tools vectors "$copy"
# What is no test of a single call, and the token's own tests.
rm -r "$copy"/test/{invariant,Gas.t.sol,ChannelGas.t.sol,Fork.t.sol,Deploy.t.sol,XbzzToken.t.sol}
mkdir "$copy/snapshots"
ln -s "$PWD/node_modules" "$copy/node_modules"
cd "$copy"
FOUNDRY_PROFILE=mutants FOUNDRY_DISABLE_NIGHTLY_WARNING=1 nice "$python" tools/mutants.py "${@:-full}"
