#!/usr/bin/env bash
# Tries to break the market in every way there is, and prints what came of it as a table.
#
#   bash libs/testkit/chaos.sh                       the short form, some ten minutes once everything is built
#   bash libs/testkit/chaos.sh full                  the long one: hours
#   bash libs/testkit/chaos.sh short chaos_rpc fuzz  some of it
#
# A suite that fails does not keep the others from being played. What each said is in target/chaos; CHAOS_SEED=n throws
# other dice, and CHAOS_SHARE=0.1 plays a tenth of the long form. What `.ci/test contracts llama` installs must be there.
set -uo pipefail
cd "$(dirname "$0")/../.."

form="${1:-short}"
shift || true
case "$form" in
    short) fuzz_seconds=30 ;;
    full) fuzz_seconds=600 ;;
    *)
        echo "there is no form $form: short or full" >&2
        exit 2
        ;;
esac
export CHAOS="$form"
if [ $# -eq 0 ]; then
    is_all=yes
    for path in services/trials/tests/*; do
        [ -e "$path" ] && set -- "$@" "$(basename "$path" .rs)"
    done
    set -- "$@" fuzz
fi

folder="$PWD/${CARGO_TARGET_DIR:-target}/chaos"
case "${CARGO_TARGET_DIR:-}" in /*) folder="$CARGO_TARGET_DIR/chaos" ;; esac
mkdir -p "$folder"
export CHAOS_REPORT="${CHAOS_REPORT:-$folder/report.jsonl}"
: >"$CHAOS_REPORT"

# Built first, so that a suite's time is its own.
tests=()
for suite in "$@"; do
    [ "$suite" = fuzz ] || tests+=(--test "$suite")
done
if [ ${#tests[@]} -gt 0 ]; then
    cargo test --locked --quiet --no-run --workspace "${tests[@]}" || exit 1
fi
cargo build --workspace --locked --quiet --bin chaos-table --test layers || exit 1

play() {
    if [ "$1" = fuzz ]; then
        bash libs/testkit/fuzz/run.sh "$fuzz_seconds"
    else
        cargo test --locked --quiet --workspace --test "$1" -- --nocapture
    fi
}

failed=()
for suite in "$@"; do
    printf '%-18s' "$suite"
    began=$SECONDS
    if play "$suite" >"$folder/$suite.log" 2>&1; then
        printf 'ok, %d s\n' $((SECONDS - began))
    else
        failed+=("$suite")
        printf 'FAILED after %d s; the end of %s:\n' $((SECONDS - began)) "$folder/$suite.log"
        tail -n 60 "$folder/$suite.log"
    fi
done

echo
"${CARGO_TARGET_DIR:-target}/debug/chaos-table" ${is_all:+--complete} "$CHAOS_REPORT" || failed+=("the table")
if [ ${#failed[@]} -gt 0 ]; then
    printf '\nfailed: %s\n' "${failed[*]}" >&2
    exit 1
fi
