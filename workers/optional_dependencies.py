"""What only some installations have, because the others do without."""

from collections.abc import Generator
from contextlib import contextmanager

from models.domain.errors import SetupError


@contextmanager
def tools_of(extra: str) -> Generator[None]:
    """Import what an extra of the package brings inside; raises SetupError if it is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SetupError(
            f"This needs {error.name}, which is not installed here: "
            f"`pip install 'marketlens[{extra}]'`."
        ) from error
