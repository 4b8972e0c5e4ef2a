"""Run one probe, or list them all."""

import sys

from probes import engine, files, identity, kernel, mounts, namespaces, neighbours, network, processes
from probes.harness import PROBES, main

__all__ = ["engine", "files", "identity", "kernel", "mounts", "namespaces", "neighbours", "network", "processes"]

if len(sys.argv) > 1:
    main(sys.argv[1])
else:
    for probe in PROBES.values():
        print(probe.name, probe.area, probe.control, probe.attempt.__doc__, sep="\t")
