"""Lists what an image archive holds, as CycloneDX: Debian packages, Python distributions, npm packages."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL
from packaging.utils import canonicalize_name

from images.archives import Entry, opened

SCHEMA: Final = SchemaVersion.V1_6
_LONGEST_LICENSE: Final = 100  # some distributions put its whole text where its name belongs


def write(archive: Path, output: Path) -> None:
    """Write the list for an archive."""
    with opened(archive) as image:
        name, _, tag = image.tag.rpartition(":")
        found = [component for path, entry in image.files().items() for component in _read(path, entry)]
    bom = Bom(components={str(component.purl): component for component in found}.values())
    bom.metadata.component = Component(type=ComponentType.CONTAINER, name=name, version=tag, bom_ref="image")
    bom.register_dependency(bom.metadata.component, bom.components)
    make_outputter(bom, OutputFormat.JSON, SCHEMA).output_to_file(str(output), allow_overwrite=True, indent=1)


def debian(status: str) -> Iterator[Component]:
    """Return the packages in the text of /var/lib/dpkg/status."""
    for paragraph in status.strip().split("\n\n"):
        package = HeaderParser().parsestr(paragraph)
        if str(package["Status"]).endswith(" installed"):
            qualifiers = {"arch": str(package["Architecture"])}
            yield _component(PackageURL("deb", "debian", str(package["Package"]), str(package["Version"]), qualifiers))


def python(metadata: str) -> Iterator[Component]:
    """Return the distribution that a METADATA file describes."""
    headers = HeaderParser().parsestr(metadata)
    purl = PackageURL("pypi", None, canonicalize_name(headers["Name"]), headers["Version"])
    yield _component(purl, _python_license(headers))


def npm(package: str) -> Iterator[Component]:
    """Return the package that a package.json describes."""
    fields = json.loads(package)
    scope, _, name = fields["name"].rpartition("/")
    said = fields.get("license")
    yield _component(PackageURL("npm", scope or None, name, fields["version"]), said if isinstance(said, str) else "")


_READERS: Final[dict[re.Pattern[str], Callable[[str], Iterator[Component]]]] = {
    re.compile(r"var/lib/dpkg/status"): debian,
    re.compile(r".*\.dist-info/METADATA"): python,
    re.compile(r"(?:.*/)?node_modules/(?:@[^/]+/)?[^/]+/package\.json"): npm,
}


def _read(path: str, entry: Entry) -> Iterator[Component]:
    for pattern, reader in _READERS.items():
        if pattern.fullmatch(path):
            yield from reader(entry.text())


def _python_license(headers: Message) -> str:
    said = str(headers["License-Expression"] or headers["License"] or "")
    return said if len(said) <= _LONGEST_LICENSE else ""


def _component(purl: PackageURL, license_name: str = "") -> Component:
    licenses = [LicenseFactory().make_from_string(license_name)] if license_name else []
    return Component(
        name=purl.name, group=purl.namespace, version=purl.version, purl=purl, bom_ref=str(purl), licenses=licenses
    )
