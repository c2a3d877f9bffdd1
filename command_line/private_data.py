"""The data folder is closed to other users of the machine when a process begins to use it."""

import logging
import re
from pathlib import Path
from typing import Final

from db.store.private_files import close_folder

log = logging.getLogger(__name__)

_OURS: Final = re.compile(
    r"marketlens\.db.*|ledger\.db.*|up\.lock|restoring\.json|\..*\.part|sample-\d+-\d+"
    r"|columns|feeds|features|generations|intake|log|models|metrics|photos|reports|run|training|uploads"
)


def keep_private(data_dir: Path) -> None:
    """Close the data folder to others, or warn that it is open.

    It is not closed if it holds what is not ours: it may be a home folder, or `/var`.
    """
    if not close_folder(data_dir, is_ours):
        log.warning(
            "The data folder %s can be read by other users of this machine; if it is Marketlens' "
            "alone: chmod 700 %s",
            data_dir,
            data_dir,
        )


def is_ours(name: str) -> bool:
    """Whether a file or folder of this name in a data folder is one that we have made."""
    return _OURS.fullmatch(name) is not None
