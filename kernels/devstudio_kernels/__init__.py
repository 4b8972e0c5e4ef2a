"""Jupyter kernels in containers.

Start here: :class:`~devstudio_kernels.provisioner.SandboxProvisioner` is what a kernelspec names as
`devstudio-sandbox`. It starts a kernel in a hardened container and reaches it over ZeroMQ on unix sockets, so that
the kernel has no network. The container belongs to no process: a server that starts again adopts it
(:meth:`SandboxProvisioner.adopt`). `inside/` is what runs in the container. This package knows nothing of the server.
"""
