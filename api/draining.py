"""What a process does between being told to stop and stopping, so that no call fails.

`/readyz` says no at once, so that whoever spreads calls sends no more of them here. Answers are the
last of their connections, and held answers are given as they are. Calls that come all the same are
answered until the process stops.
"""

from collections.abc import Callable, Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

STATE: Final = "draining"
"""The name by which the application gives its `Draining` to the server, as a lifespan's state."""
CLOSE: Final = (b"connection", b"close")


class Draining:
    """Whether the process is about to stop; `on_begin` are called when it is told so."""

    def __init__(self, on_begin: Sequence[Callable[[], None]] = ()) -> None:
        self._on_begin = on_begin
        self._has_begun = False

    @property
    def has_begun(self) -> bool:
        """Whether the process is about to stop."""
        return self._has_begun

    def begin(self) -> None:
        """Begin. In the event loop, as those who wait there are woken."""
        if not self._has_begun:
            self._has_begun = True
            for call in self._on_begin:
                call()


class LastOfConnection:
    """Has connections closed after the answer that is under way, once the process is draining."""

    def __init__(self, app: ASGIApp, draining: Draining) -> None:
        self._app = app
        self._draining = draining

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and say that the connection is closed then."""

        async def closing(message: Message) -> None:
            if message["type"] == "http.response.start" and self._draining.has_begun:
                message["headers"] = [*message.get("headers", []), CLOSE]
            await send(message)

        await self._app(scope, receive, closing if scope["type"] == "http" else send)
