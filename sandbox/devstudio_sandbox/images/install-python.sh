#!/bin/sh
# Installs the wheels that the host has downloaded and checked; no network. pip itself is one of them.
set -eu
export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
cd /opt/devstudio/wheels
# --break-system-packages: this Python is the image's own, there is no system for it to break.
# --no-compile: pip's byte code would bear the time; unchecked, because nobody can change a file of a read-only image.
PYTHONPATH="$(echo "$PWD"/pip-*.whl)" python3 -m pip install --no-index --no-deps --no-cache-dir --no-compile \
    --root-user-action=ignore --disable-pip-version-check --break-system-packages --quiet ./*.whl
cd /
rm -r /opt/devstudio/wheels
python3 -m compileall -qf --invalidation-mode unchecked-hash \
    "$(python3 -c 'import os, pytest; print(os.path.dirname(os.path.dirname(pytest.__file__)))')"
python3 -c "import coverage, ipykernel, pytest, pytest_cov"
# People and their Makefiles say `python`; Debian has only `python3`.
command -v python >/dev/null || ln -s "$(command -v python3)" /usr/local/bin/python
ruff --version
python3 -m pip --disable-pip-version-check check
