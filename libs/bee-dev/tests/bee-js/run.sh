#!/bin/sh
# Proves that bee-js works with the development node: run.sh [path of the t4t-bee-dev binary].
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here"
if [ ! -d node_modules/@ethersphere/bee-js ]; then
    npm ci --no-audit --no-fund
fi
if [ $# -gt 0 ]; then
    binary=$1
else
    (cd "$here/../.." && cargo build --quiet --bin t4t-bee-dev)
    target=$(cd "$here/../.." && cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
    binary=$target/debug/t4t-bee-dev
fi
# Two free ports in a row.
port=$(node -e 'const n=require("net"),t=()=>{const a=n.createServer().listen(0,"127.0.0.1",()=>{const p=a.address().port;const b=n.createServer().listen(p+1,"127.0.0.1",()=>{a.close();b.close();console.log(p)}).on("error",()=>{a.close();t()})})};t()')
"$binary" --nodes 2 --port "$port" --seed 1 &
bee=$!
trap 'kill $bee 2>/dev/null || true' EXIT INT TERM
tries=0
until node -e "fetch('http://127.0.0.1:$((port + 1))/readiness').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))"; do
    tries=$((tries + 1))
    if [ $tries -gt 50 ] || ! kill -0 $bee 2>/dev/null; then
        echo "the development node did not start" >&2
        exit 1
    fi
done
node drive.mjs "http://127.0.0.1:$port" "http://127.0.0.1:$((port + 1))"
