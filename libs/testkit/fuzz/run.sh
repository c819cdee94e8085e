#!/usr/bin/env bash
# Fuzzes every parser of what comes from outside, with libFuzzer and on the stable toolchain.
#
#   bash libs/testkit/fuzz/run.sh              30 s for each target
#   bash libs/testkit/fuzz/run.sh 600          600 s for each
#   bash libs/testkit/fuzz/run.sh 600 sse rpc  some of them
#
# Needs a C++ compiler for libFuzzer, and Python 3, which makes the first inputs out of the committed vectors. What is
# found to lead further is kept in target/fuzz/corpus, and an input that breaks something in target/fuzz/artifacts: give
# its path to the target's program to see it again. `cargo fuzz` works in this folder too, with a nightly toolchain.
set -euo pipefail
cd "$(dirname "$0")"

seconds="${1:-30}"
shift || true

# A build of its own: every crate is instrumented, but no build script, which is what naming the system is for.
system="$(rustc -vV | sed -n 's/^host: //p')"
root="$(cd ../../.. && pwd)"
export CARGO_TARGET_DIR="$root/target/fuzz"
coverage="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
coverage+=" -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
coverage+=" -Cllvm-args=-sanitizer-coverage-trace-compares"
RUSTFLAGS="$coverage" cargo build --release --bins --target "$system"

if [ $# -eq 0 ]; then
    set -- $(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)
fi
corpus="$CARGO_TARGET_DIR/corpus"
python3 seeds.py "$corpus"

broken=()
for target in "$@"; do
    mkdir -p "$corpus/$target" "$CARGO_TARGET_DIR/artifacts/$target"
    log="$CARGO_TARGET_DIR/$target.log"
    printf '%-16s' "$target"
    if "$CARGO_TARGET_DIR/$system/release/$target" "$corpus/$target" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="$CARGO_TARGET_DIR/artifacts/$target/" >"$log" 2>&1; then
        grep -o 'DONE .* corp: [0-9]*' "$log" | sed 's/DONE *//' | tr '\n' ' '
        grep '^Done' "$log"
    else
        broken+=("$target")
        printf 'broken\n'
        grep -v '^#' "$log" | tail -n 60
    fi
done
if [ ${#broken[@]} -gt 0 ]; then
    printf '\nbroken: %s; the inputs are in %s\n' "${broken[*]}" "$CARGO_TARGET_DIR/artifacts" >&2
    exit 1
fi
