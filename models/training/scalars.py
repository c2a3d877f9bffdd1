"""Curves that can be watched while they grow, by `tensorboard --logdir`."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from models.domain.errors import SetupError

Log = Callable[[int, Mapping[str, float]], None]


@contextmanager
def scalar_log(folder: Path) -> Generator[Log]:
    """Log values by name at each step. Raises SetupError where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
    except ImportError as error:
        raise SetupError("Logs need TensorBoard: install marketlens[train].") from error
    with SummaryWriter(str(folder)) as writer:

        def log(step: int, values: Mapping[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield log
