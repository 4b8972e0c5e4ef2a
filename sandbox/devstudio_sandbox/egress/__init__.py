"""The egress proxy: the one way out of a sandbox, to the hosts that approved leases name and to no others.

A sandbox has no network. For a run that may reach something, the host starts one process of this package, which
listens on a unix socket in a directory of its own; the directory is mounted read-only into that run's container, and
the supervisor there carries ``127.0.0.1:3128`` to the socket (``supervisor/forward.py``).

The process gets its rules as lines of JSON on standard input, and tells each request on standard output. It holds no
secret of the server: its environment is empty, and it runs as nobody where the server is root. Its modules know each
other by relative names only, so that it starts without the rest of the package::

    rules      which host and port a lease allows
    addresses  which addresses may be connected to, whatever name led there
    grants     the leases in force, their end and their bytes
    hello      the name that a TLS client asks for
    dial       from a name to a connection: looked up once, checked, connected to what was checked
    request    what a client of the proxy asks for, read strictly
    relay      bytes to and fro, counted
    server     one connection after its beginning, and the watch over all of them
    process    the process around it
    proxy      the host's hold on the process
    clients    what tells pip, npm and others of it
"""
