"""SHA256SUMS files, as `sha256sum` writes and checks them."""

import re
from collections.abc import Mapping

from models.domain.errors import InvalidFeed

SUMS_FILE = "SHA256SUMS"

# A hundred bytes a file, for the most files that a feed may have.
MAX_SUMS_BYTES = 512 * 2**20

_LINE = re.compile(r"([0-9A-Fa-f]{64}) [ *](?:\./)?(.+)")


def parse_sums(content: bytes, source: str) -> dict[str, str]:
    """The SHA-256, in lower-case hexadecimal, of each file by name. Raises InvalidFeed."""
    sums = {}
    for number, line in enumerate(content.decode(errors="replace").split("\n"), start=1):
        text = line.rstrip("\r")
        if not text:
            continue
        if (match := _LINE.fullmatch(text)) is None:
            raise InvalidFeed(f"{SUMS_FILE} of {source} can't be read at line {number}.")
        sums[match[2]] = match[1].lower()
    return sums


def format_sums(sums: Mapping[str, str]) -> str:
    """The content of a SHA256SUMS file, by name."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
