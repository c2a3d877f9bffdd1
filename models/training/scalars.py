"""Scalars for TensorBoard, which shows them during training."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from models.domain.optional_dependencies import requires_extra

Log = Callable[[int, Mapping[str, float]], None]


@contextmanager
def scalar_log(folder: Path) -> Generator[Log]:
    """Log values by name at each step. Raises SetupError where TensorBoard is not installed."""
    with requires_extra("train"):
        # Imported here: serving machines have no TensorBoard.
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
    with SummaryWriter(str(folder)) as writer:

        def log(step: int, values: Mapping[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()

        yield log
