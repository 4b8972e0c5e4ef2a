"""The one process that owns everything inside a sandbox.

It runs as pid 1 of a container, or as the parent of the command under bubblewrap or on the bare host. It needs nothing
but the standard library of Python 3.9 and nothing of the rest of this package, because it is copied into images whose
Python is not ours; so its modules know each other by relative names only. ``BOOT`` starts it, with the directory that
holds this package and the settings as arguments::

    python3 -I -S -B -c "$BOOT" /opt/devstudio '{"workspace": "/workspace", "ttl_s": 900}'

Frames go over its standard input and output: one byte of kind, four bytes of length (big endian), the payload.
The host asks, one question at a time (``KILL`` and ``QUIT`` may come at any moment)::

    PUT {max_bytes, max_files}, CHUNK …, END                        -> DONE | ERROR
    CHUNK … (standard input), START {argv, cwd, env, deadline_s}    -> STDOUT and STDERR …, EXIT | ERROR
    GET {path, max_bytes}                                           -> DATA …, DONE | ERROR
    EXPORT {patterns, max_bytes, max_files}     -> (ENTRY {path, size, executable}, DATA …) …, DONE | ERROR
    ADOPT {ttl_s}: the time to live begins anew, for a run          -> DONE
    KILL · QUIT · end of file                                       -> (none)

It begins with READY, and every ERROR is ``{code, message}``. Its own standard error is for diagnosis only.
A command never sees these descriptors, and cannot look into this process: it is not dumpable.
"""

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from supervisor.main import main; main(sys.argv[2])"
