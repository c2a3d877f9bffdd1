"""Packages that only the extras of an installation bring."""

from collections.abc import Generator
from contextlib import contextmanager

from models.domain.errors import SetupError


@contextmanager
def requires_extra(extra: str | None) -> Generator[None]:
    """Run imports of what an extra brings. Raises SetupError naming what is not installed.

    Without an extra, a module that is missing is a defect, and raised as it is.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if extra is None:
            raise
        raise SetupError(
            f"This needs {error.name}, which is not installed here: "
            f"`pip install 'marketlens[{extra}]'`."
        ) from error
