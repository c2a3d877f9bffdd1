"""Something that is done now and then, however often there is an occasion."""

from time import monotonic


class Throttle:
    """Says when to do it: the first time, and when so many seconds have passed since the last."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next = float("-inf")

    def is_due(self) -> bool:
        """Whether to do it now; then it is not due again for a while."""
        if monotonic() < self._next:
            return False
        self._next = monotonic() + self._every_s
        return True
