"""Files that appear under their name only when they are whole."""

from pathlib import Path


def aside(path: Path) -> Path:
    """Where a file is written until it is whole."""
    return path.with_name(f"{path.name}.part")


def write_aside(path: Path, text: str) -> None:
    """Write a small file, in UTF-8, or leave it as it is if it says so already."""
    content = text.encode()
    if path.is_file() and path.read_bytes() == content:
        return
    aside(path).write_bytes(content)
    aside(path).replace(path)
