"""Which tests run on one worker when several run tests in parallel (`pytest -n`)."""

from typing import Final

from xdist.scheduler import LoadScopeScheduling

MACHINES: Final = ("tests/e2e/", "tests/faults/")
"""The tests below start the product's processes, which need ports and cores: one at a time."""


SLOW_FOLDERS: Final = (*MACHINES, "tests/models/", "tests/workers/", "tests/etl/")
"""Folders whose files take from seconds to half a minute, in the order in which they are begun."""


def start_order(nodeid: str) -> int:
    """When a test is begun, among those of other folders."""
    slow = (place for place, folder in enumerate(SLOW_FOLDERS) if nodeid.startswith(folder))
    return next(slow, len(SLOW_FOLDERS))


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist states no types
    """The tests of a file share what its fixtures made; all that start machines are one file."""

    def _split_scope(self, nodeid: str) -> str:
        return MACHINES[0] if nodeid.startswith(MACHINES) else nodeid.partition("::")[0]
