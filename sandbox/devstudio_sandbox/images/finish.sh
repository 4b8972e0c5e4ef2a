#!/bin/sh
# The last step of both images: trust, byte code, no setuid programs, and the list of what is there.
set -eu
export PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1
if [ -e /usr/local/share/ca-certificates/devstudio.crt ]; then
    update-ca-certificates --fresh >/dev/null
fi
python3 -m compileall -qf --invalidation-mode unchecked-hash /opt/devstudio
mkdir -p -m 0700 /workspace
find / -xdev -type f -perm /6000 -exec chmod a-s {} +
python3 -B /opt/devstudio/inventory.py > /opt/devstudio/inventory.json
# What programs leave behind, some of it about the time at which they ran.
rm -rf /tmp/* /var/tmp/* /root/.cache /root/.npm /var/cache/ldconfig/aux-cache /var/log/* /var/cache/debconf/*-old /var/lib/dpkg/*-old
