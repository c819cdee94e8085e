#!/usr/bin/env bash
# Everything that has to hold for the contracts: format, build, tests, gas, artifacts, ABI.
# Needs node and npm. `FOUNDRY_PROFILE=deep ./test.sh` tries longer.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=tools/env.sh
source tools/env.sh
export FOUNDRY_PROFILE="${FOUNDRY_PROFILE:-ci}"
export FOUNDRY_DISABLE_NIGHTLY_WARNING=1

forge fmt --check
forge build
FORGE_SNAPSHOT_CHECK=true forge test
if [ -z "${FORK_GNOSIS_RPC_URL:-}" ]; then
    echo "fork test: not run, FORK_GNOSIS_RPC_URL is not set"
fi
tools/snapshot.sh --check
node tools/artifacts.mjs --check
node tools/abi-v1.mjs
echo "contracts: ok"
