"""Imports of packages that are installed with an extra only."""

from collections.abc import Generator
from contextlib import contextmanager

from models.domain.errors import SetupError


@contextmanager
def requires_extra(extra: str | None) -> Generator[None]:
    """Import packages of an extra. Raises SetupError that names the missing package.

    With None, a missing module is a defect, and the ModuleNotFoundError is raised unchanged.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if extra is None:
            raise
        raise SetupError(
            f"This needs {error.name}, which is not installed here: `pip install '.[{extra}]'` in "
            "a checkout installs it; see docs/install.md."
        ) from error
