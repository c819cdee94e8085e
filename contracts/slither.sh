#!/usr/bin/env bash
# Runs Slither over src/ in a copy (it cleans the build). Needs python3 with venv, node and npm.
# slither.config.json says what is left out; README.md says why.
set -euo pipefail
cd "$(dirname "$0")"
# shellcheck source=tools/env.sh
source tools/env.sh

# shellcheck source=tools/slither_env.sh
source tools/slither_env.sh
slither="$PWD/.venv/bin/slither"
copy="$(mktemp -d)"
trap 'rm -rf "$copy"' EXIT
cp -R foundry.toml slither.config.json src tools "$copy"
ln -s "$PWD/node_modules" "$copy/node_modules"
cd "$copy"
"$slither" . "$@"
echo "slither: ok"
