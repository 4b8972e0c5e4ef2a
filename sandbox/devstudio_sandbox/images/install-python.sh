#!/bin/sh
# Installs the wheels that the host has downloaded and checked; no network. pip itself is one of them.
set -eu
cd /opt/devstudio/wheels
# --break-system-packages: this Python is the image's own, there is no system for it to break
PYTHONPATH="$(echo "$PWD"/pip-*.whl)" python3 -m pip install --no-index --no-deps --no-cache-dir --root-user-action=ignore \
    --disable-pip-version-check --break-system-packages --quiet ./*.whl
cd /
rm -r /opt/devstudio/wheels
python3 -c "import coverage, ipykernel, pytest, pytest_cov"
ruff --version
