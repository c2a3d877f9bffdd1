"""What only some installations have, because the others do without."""

from collections.abc import Generator
from contextlib import contextmanager

from models.domain.errors import SetupError


@contextmanager
def tools_of(extra: str | None) -> Generator[None]:
    """Import what an extra of the package brings inside; raises SetupError if it is not there.

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
