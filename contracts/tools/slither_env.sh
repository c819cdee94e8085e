# Sourced by slither.sh and mutants.sh: the pinned Slither in .venv, installed when it is not there.
if [ ! -x .venv/bin/slither ] || [ tools/requirements.txt -nt .venv/bin/slither ]; then
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check -r tools/requirements.txt
    touch .venv/bin/slither
fi
