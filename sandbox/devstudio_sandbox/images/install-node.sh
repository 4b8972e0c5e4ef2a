#!/bin/sh
# Node lies in /usr/local already, unless the base image has its own.
set -eu
if [ -d /usr/local/lib/node_modules/npm ] && [ ! -e /usr/local/bin/npm ]; then
    ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
    ln -s ../lib/node_modules/npm/bin/npx-cli.js /usr/local/bin/npx
    chmod 755 /usr/local/lib/node_modules/npm/bin/npm-cli.js /usr/local/lib/node_modules/npm/bin/npx-cli.js
fi
node --version
npm --version
