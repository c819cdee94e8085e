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
#
# With CHAOS_REPORT=FILE a line for `just chaos` is added to that file.
set -euo pipefail
case "${CHAOS_REPORT:-}" in
    "" | /*) ;;
    *) CHAOS_REPORT="$PWD/$CHAOS_REPORT" ;;
esac
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
RUSTFLAGS="$coverage" cargo build --locked --release --bins --target "$system"

if [ $# -eq 0 ]; then
    set -- $(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' Cargo.toml)
fi
corpus="$CARGO_TARGET_DIR/corpus"
python3 seeds.py "$corpus"

# One target; its line, and how often it ran, in files of their own.
fuzz() {
    local target="$1" log="$logs/$1.log"
    mkdir -p "$corpus/$target" "$CARGO_TARGET_DIR/artifacts/$target"
    printf '%-16s' "$target" >"$logs/$target.line"
    if "$CARGO_TARGET_DIR/$system/release/$target" "$corpus/$target" \
        -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="$CARGO_TARGET_DIR/artifacts/$target/" >"$log" 2>&1; then
        {
            grep -o 'DONE .* corp: [0-9]*' "$log" | sed 's/DONE *//' | tr '\n' ' '
            grep '^Done' "$log"
        } >>"$logs/$target.line"
    else
        touch "$logs/$target.broken"
        { echo broken; grep -v '^#' "$log" | tail -n 60; } >>"$logs/$target.line"
    fi
    cat "$logs/$target.line"
}

# As many at a time as there are processors.
logs="$CARGO_TARGET_DIR/logs"
rm -rf "$logs"
mkdir -p "$logs"
at_once="$(nproc)"
for target in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$at_once" ]; do
        wait -n || true
    done
    fuzz "$target" &
done
wait

broken=()
for target in "$@"; do
    if [ -e "$logs/$target.broken" ]; then
        broken+=("$target")
    fi
done
runs="$(cat "$logs"/*.log | awk '/^Done/ { sum += $2 } END { printf "%d", sum }')"
if [ -n "${CHAOS_REPORT:-}" ]; then
    printf '{"number":14,"tried":"fuzz: %d parsers, %s s each","runs":%d,"found":"%d crashes, %s executions"}\n' \
        $# "$seconds" $# ${#broken[@]} "$runs" >>"$CHAOS_REPORT"
fi
if [ ${#broken[@]} -gt 0 ]; then
    printf '\nbroken: %s; the inputs are in %s\n' "${broken[*]}" "$CARGO_TARGET_DIR/artifacts" >&2
    exit 1
fi
