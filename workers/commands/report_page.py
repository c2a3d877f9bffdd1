"""The file that a command's `--html` writes."""

from pathlib import Path

from models.domain.durable_files import atomic_file, make_folder
from models.domain.errors import SetupError


def write_page(path: Path, page: str) -> None:
    """Write an HTML page, making its folder. Raises SetupError where that can't be done."""
    try:
        make_folder(path.parent)
        with atomic_file(path) as file:
            file.write(page.encode())
    except OSError as error:
        raise SetupError(f"The page can't be written to {path}.") from error
