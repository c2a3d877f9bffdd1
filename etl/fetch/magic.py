"""Archives by their first bytes."""

import tarfile

ZIP_MAGIC = b"PK"
GZIP_MAGIC = b"\x1f\x8b"
BZIP2_MAGIC = b"BZh"
XZ_MAGIC = b"\xfd7zXZ\x00"

_USTAR = slice(257, 262)

MAGIC_BYTES = tarfile.BLOCKSIZE
"""How many bytes tell."""


def has_archive_magic(start: bytes) -> bool:
    """Whether a file that begins so is a zip or tar archive, or something compressed."""
    compressed = (ZIP_MAGIC, GZIP_MAGIC, BZIP2_MAGIC, XZ_MAGIC)
    return start.startswith(compressed) or start[_USTAR] == b"ustar"
