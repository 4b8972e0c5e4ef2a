"""Turning what the engine built into the image that is kept: one layer of ours, the same bytes every time."""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, cast

import docker

from devstudio_sandbox.images.layers import EPOCH, Item, Tree, content_digest, merge, write_layer
from devstudio_sandbox.images.sbom import SBOM_PATH

INVENTORY_PATH = "/opt/devstudio/inventory.json"
CREATED = datetime.fromtimestamp(EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
CONTENT_LABEL = "renum.devstudio.content"
SBOM_LABEL = "renum.devstudio.sbom"
KEPT_CONFIG = ("Env", "User", "WorkingDir", "Cmd", "Entrypoint")


@dataclass(frozen=True)
class Built:
    """What an archive of ``docker save`` holds."""

    tar: tarfile.TarFile
    config: Mapping[str, Any]
    layers: list[str]

    def layer(self, number: int) -> tarfile.TarFile:
        """Open a layer."""
        return tarfile.open(fileobj=self.tar.extractfile(self.layers[number]), mode="r:*")


@contextmanager
def saved(client: docker.DockerClient, image: str) -> Iterator[Built]:
    """Get an image from the engine."""
    with tempfile.TemporaryFile() as file:
        for chunk in client.api.get_image(image):
            file.write(chunk)
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:") as tar:
            manifest = read_json(tar, "manifest.json")[0]
            yield Built(tar, read_json(tar, manifest["Config"]), manifest["Layers"])


def read_json(tar: tarfile.TarFile, name: str) -> Any:
    """Read a JSON file of an archive; the caller knows that it is one."""
    return json.load(cast("IO[bytes]", tar.extractfile(name)))


def finish(
    client: docker.DockerClient,
    raw: str,
    tag: str,
    *,
    keep: int,
    labels: Mapping[str, str],
    make_sbom: Callable[[Any], bytes],
) -> None:
    """Replace a built image by one of its lower layers and one of ours, with a bill of materials and labels.

    Parameters
    ----------
    client
        The engine.
    raw
        The image that was built; it has an inventory.
    tag
        The name to give.
    keep
        How many layers are the base's.
    labels
        The labels to give, beside the digests of content and bill of materials.
    make_sbom
        Writes the bill of materials from the inventory.

    """
    with saved(client, raw) as built, tempfile.TemporaryFile() as layer:
        tree, lower = read_tree(built, keep)
        with tree.pop(INVENTORY_PATH[1:]).open() as inventory:
            sbom = make_sbom(json.load(inventory))
        tree[SBOM_PATH[1:]] = Item(regular(SBOM_PATH[1:], sbom), sbom, keep)
        digest = write_layer(tree, lower, keep, layer)
        digests = {CONTENT_LABEL: content_digest(tree), SBOM_LABEL: f"sha256:{hashlib.sha256(sbom).hexdigest()}"}
        config = make_config(built.config, keep, digest, {**labels, **digests})
        with tempfile.TemporaryFile() as archive:
            write_archive(archive, built, config, tag, keep, layer)
            archive.seek(0)
            client.images.load(archive)


def read_tree(built: Built, keep: int) -> tuple[Tree, Tree]:
    """Read an image's file system, and that of its lower layers alone."""
    tree: Tree = {}
    lower: Tree = {}
    for number in range(len(built.layers)):
        if number == keep:
            lower = dict(tree)
        merge(tree, built.layer(number), number)
    return tree, lower


def make_config(built: Mapping[str, Any], keep: int, layer: str, labels: Mapping[str, str]) -> bytes:
    """Write the image's configuration; its digest is the image's id."""
    config = {
        "architecture": built["architecture"],
        "os": built["os"],
        "created": CREATED,
        "config": {name: built["config"][name] for name in KEPT_CONFIG if built["config"].get(name)}
        | {"Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": [*built["rootfs"]["diff_ids"][:keep], layer]},
        "history": [{"created": CREATED, "created_by": "renum-devstudio"}] * (keep + 1),
    }
    return json.dumps(config, sort_keys=True).encode()


def write_archive(target: IO[bytes], built: Built, config: bytes, tag: str, keep: int, layer: IO[bytes]) -> None:
    """Write an archive for ``docker load``."""
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    names = [f"{number}/layer.tar" for number in range(keep + 1)]
    manifest = json.dumps([{"Config": name, "RepoTags": [tag], "Layers": names}]).encode()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for path, data in [(name, config), ("manifest.json", manifest)]:
            tar.addfile(regular(path, data), io.BytesIO(data))
        for number in range(keep):
            member = built.tar.getmember(built.layers[number])
            lower = tarfile.TarInfo(names[number])
            lower.size = member.size
            tar.addfile(lower, built.tar.extractfile(member))
        ours = tarfile.TarInfo(names[keep])
        ours.size = layer.seek(0, io.SEEK_END)
        layer.seek(0)
        tar.addfile(ours, layer)


def regular(path: str, data: bytes) -> tarfile.TarInfo:
    """Describe a file of ours."""
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(data), 0o644
    return info
