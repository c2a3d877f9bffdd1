"""How much memory there is for an index."""

import os
from typing import Final

SHARE: Final = 4
"""The parts of an index that most searches read may take this part of a machine's memory."""


def usual_memory_bytes() -> int:
    """What an index may take where nobody says: a quarter of this machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // SHARE
