#!/bin/sh
# Node lies in /usr/local already, unless the base image has its own; so do the tools. No network.
set -eu
export NODE_DISABLE_COMPILE_CACHE=1 npm_config_cache=/tmp/npm
if [ -d /usr/local/lib/node_modules/npm ] && [ ! -e /usr/local/bin/npm ]; then
    ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
    ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
    chmod 755 /usr/local/lib/node_modules/npm/bin/npm-cli.js /usr/local/lib/node_modules/npm/bin/npx-cli.js
fi
ln -sf ../lib/devstudio/node_modules/c8/bin/c8.js /usr/local/bin/c8
chmod 755 /usr/local/lib/devstudio/node_modules/c8/bin/c8.js
node --version
npm --version
c8 --version
rm -rf /tmp/npm
# What the kernel of a notebook needs, as in the Python image. pip only installs, and goes with its wheel.
export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
cd /opt/devstudio/wheels
mv pip-*.whl /tmp
PYTHONPATH="$(echo /tmp/pip-*.whl)" python3 -m pip install --no-index --no-deps --no-cache-dir --no-compile \
    --root-user-action=ignore --disable-pip-version-check --break-system-packages --quiet ./*.whl
cd /
rm -r /opt/devstudio/wheels /tmp/pip-*.whl
python3 -m compileall -qf --invalidation-mode unchecked-hash \
    "$(python3 -c 'import os, ipykernel; print(os.path.dirname(os.path.dirname(ipykernel.__file__)))')"
python3 -c "import ipykernel.kernelapp"
