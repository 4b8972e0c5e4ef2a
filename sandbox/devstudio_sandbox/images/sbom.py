"""The bill of materials of an image, in CycloneDX's JSON (https://cyclonedx.org/docs/1.6/json/)."""

import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License, LicenseExpression
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

SBOM_PATH = "/opt/devstudio/sbom.cdx.json"
"""Where it lies in an image."""
NAMESPACE = uuid.UUID("5d1f3f38-7c6b-5b8e-9d43-0f6a3f1c2b10")
Package = Mapping[str, Any]
"""An entry of :mod:`devstudio_sandbox.images.inventory`."""


def write_sbom(image: str, packages: Iterable[Package], epoch: int) -> bytes:
    """Write the bill of materials; the same packages always give the same bytes.

    Parameters
    ----------
    image
        The image's name.
    packages
        What the inventory found.
    epoch
        The time that it bears, in seconds since 1970.

    """
    packages = list(packages)
    serial = uuid.uuid5(NAMESPACE, json.dumps([image, packages], sort_keys=True))
    name, _, version = image.partition(":")
    about = Component(name=name, version=version, type=ComponentType.CONTAINER, bom_ref=image)
    components = [component(package) for package in packages]
    bom = Bom(
        serial_number=serial,
        metadata=BomMetaData(component=about, timestamp=datetime.fromtimestamp(epoch, UTC)),
        components=components,
    )
    bom.register_dependency(about, components)
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document["components"].sort(key=lambda one: one["bom-ref"])
    document.pop("dependencies", None)  # who needs whom is not known of all kinds, and empty lists would say "nobody"
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()


def component(package: Package) -> Component:
    """Describe one package."""
    url = package_url(package)
    return Component(
        name=package["name"],
        version=package["version"],
        type=ComponentType.PLATFORM if package["kind"] == "generic" else ComponentType.LIBRARY,
        purl=url,
        bom_ref=url.to_string(),
        licenses=licences(package["licences"]),
    )


def package_url(package: Package) -> PackageURL:
    """Name a package as other tools do (https://github.com/package-url/purl-spec)."""
    kind, name, version = package["kind"], package["name"], package["version"]
    if kind == "deb":
        return PackageURL("deb", "debian", name, version, {"arch": package["arch"]})
    scope, _, bare = name.rpartition("/")
    return PackageURL(kind, scope or None, bare, version)


def licences(told: Iterable[str]) -> list[License]:
    """Turn names into SPDX's where they are; CycloneDX allows one expression or any number of names."""
    made = [LicenseFactory().make_from_string(name) for name in told]
    if len(made) > 1:
        make = LicenseFactory().make_with_name
        made = [make(one.value) if isinstance(one, LicenseExpression) else one for one in made]
    return made


def listed(document: bytes) -> set[str]:
    """Read from a bill of materials which packages it lists, by their package URLs."""
    return {str(one["purl"]) for one in json.loads(document)["components"]}


def package_urls(packages: Iterable[Package]) -> set[str]:
    """Name what an inventory found, by package URLs."""
    return {package_url(package).to_string() for package in packages}
