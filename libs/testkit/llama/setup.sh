#!/usr/bin/env bash
# Installs the real backend that tests use: llama.cpp's server and a tiny model made on the spot. Once is enough.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${T4T_LLAMA_DIR:-$here/../../../target/llama}
mkdir -p "$folder"
if [ ! -x "$folder/venv/bin/python" ]; then
  python3 -m venv "$folder/venv"
fi
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: -r "$here/requirements.txt"
"$folder/venv/bin/python" "$here/mkgguf.py" "$folder/tiny.gguf"
echo "ready: $folder"
