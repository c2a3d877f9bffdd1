"""Which tests run on one worker when several run tests in parallel (`pytest -n`)."""

from typing import Final

from xdist.scheduler import LoadScopeScheduling

MACHINES: Final = "tests/e2e/"
"""The tests below start the product's processes, which need ports and cores: one at a time."""


def starts_machines(nodeid: str) -> bool:
    return nodeid.startswith(MACHINES)


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist states no types
    """The tests of a file share what its fixtures made; all that start machines are one file."""

    def _split_scope(self, nodeid: str) -> str:
        return MACHINES if starts_machines(nodeid) else nodeid.partition("::")[0]
