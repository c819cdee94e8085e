# Sourced by the scripts beside it: installs what package-lock.json pins, when it is not there yet,
# and puts forge, anvil and cast on the PATH.
if [ ! -e node_modules/.package-lock.json ] ||
    [ package-lock.json -nt node_modules/.package-lock.json ]; then
    npm ci --ignore-scripts --no-audit --no-fund
fi
for tool in forge anvil cast; do
    PATH="$PWD/node_modules/@foundry-rs/$tool-linux-amd64/bin:$PATH"
done
export PATH
