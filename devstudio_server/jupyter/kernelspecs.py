"""Which kernels a team may start: those that a sandbox contains."""

from __future__ import annotations

from typing import Any

from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel
from traitlets import List, Unicode

LOCAL_PROVISIONER = "local-provisioner"
"""What Jupyter uses when a kernelspec names no provisioner: a plain process on the server."""


class IsolatingKernelSpecManager(KernelSpecManager):
    """Lists and hands out only kernelspecs whose provisioner isolates the kernel; the others do not exist."""

    isolating_provisioners = List(
        Unicode(),
        ["devstudio-sandbox"],
        help="Names of the kernel provisioners that contain what a kernel runs. Default: `devstudio-sandbox`.",
    ).tag(config=True)

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return a kernelspec. Raises `NoSuchKernel` when there is none, or when nothing would contain its kernel."""
        spec = super().get_kernel_spec(kernel_name)
        if provisioner_of(spec) not in self.isolating_provisioners:
            raise NoSuchKernel(kernel_name)
        return spec

    def find_kernel_specs(self) -> dict[str, str]:
        """Return the folders of the kernelspecs, by name."""
        return {name: folder for name, folder in super().find_kernel_specs().items() if self._isolates(name)}

    def _isolates(self, kernel_name: str) -> bool:
        try:
            self.get_kernel_spec(kernel_name)
        except NoSuchKernel:
            return False
        except Exception as error:  # noqa: BLE001 - one broken file must not hide the other kernels
            self.log.warning("The kernelspec %r cannot be read, so it is not offered: %s", kernel_name, error)
            return False
        return True


def provisioner_of(spec: KernelSpec) -> str:
    """Return the name of the provisioner that a kernelspec asks for."""
    asked: Any = (spec.metadata or {}).get("kernel_provisioner", {})
    return str(asked.get("provisioner_name") or LOCAL_PROVISIONER)
