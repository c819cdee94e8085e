#!/usr/bin/env bash
# Writes .gas-snapshot, or with --check compares it: the gas of each test that does the same thing
# in each run. (What single calls cost as transactions stands in snapshots/Gas.json.)
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tools/env.sh
source tools/env.sh
forge snapshot "$@" --fuzz-seed 1 --no-match-test 'fuzz_|invariant_' \
    --no-match-contract 'ForkTest|MarketInvariants|ChannelsInvariants'
