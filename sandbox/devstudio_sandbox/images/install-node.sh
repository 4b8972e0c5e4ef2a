#!/bin/sh
# Node lies in /usr/local already, unless the base image has its own; so do the tools.
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
