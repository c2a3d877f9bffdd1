"""What serving does without, and making models needs."""

from collections.abc import Generator
from contextlib import contextmanager

from models.errors import SetupError


@contextmanager
def training_tools() -> Generator[None]:
    """Import the tools that make models inside; raises SetupError where they are not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise SetupError(
            f"This needs {error.name}, which a server does not have: "
            "`pip install 'marketlens[train]'`."
        ) from error
