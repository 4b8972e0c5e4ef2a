"""Why a kernel does not run, as sentences for people."""


class KernelError(RuntimeError):
    """A sandboxed kernel cannot be started, or could not go on."""


class KernelUnavailable(KernelError):
    """What kernels need is not there: an engine, its runtime, an image, or a folder."""


class TooManyKernels(KernelError):
    """A person or a tenant has as many kernels as they may have."""
