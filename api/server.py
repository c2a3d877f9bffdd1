"""uvicorn's server, which is told to stop some time before it stops (`api.draining`)."""

import signal
import socket
from contextlib import suppress
from time import monotonic
from types import FrameType

from uvicorn import Config, Server
from uvicorn.supervisors import Multiprocess

from api.draining import STATE, Draining
from models.domain.processes import tell_supervisor


class DrainingServer(Server):
    """Drains for `drain_s` seconds on SIGTERM; at once on SIGINT, and when told again.

    A socket that it was given is also listened to by the process that takes over: then it takes no
    more connections while it drains, and stops when it has none.
    """

    def __init__(self, config: Config, drain_s: float, *, shares_socket: bool) -> None:
        super().__init__(config)
        self._drain_s = drain_s
        self._shares_socket = shares_socket
        self._stop_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so to who has started this process."""
        await super().startup(sockets)
        tell_supervisor("READY=1")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain, or to stop."""
        if sig == signal.SIGTERM and self._stop_at is None and self.started and self._drain_s:
            self._captured_signals.append(sig)
            self._stop_at = monotonic() + self._drain_s
        else:
            super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop now."""
        if self._stop_at is not None:
            draining = self.lifespan.state.get(STATE)
            if isinstance(draining, Draining):
                draining.begin()
            if self._shares_socket:
                for server in self.servers:
                    server.close()
            is_over = self._shares_socket and not self.server_state.connections
            self.should_exit |= is_over or monotonic() > self._stop_at
        return await super().on_tick(counter)


def serve(config: Config, drain_s: float, listening: socket.socket | None) -> None:
    """Serve until told to stop, on a socket of one's own unless one is given.

    Several processes stop without draining. Raises SystemExit where nothing is served, having
    logged why.
    """
    if config.workers > 1:
        tell_supervisor("READY=1")
        Multiprocess(config, [listening or config.bind_socket()]).run()
        return
    # Refused here rather than in the event loop.
    config.load_app()
    server = DrainingServer(config, drain_s, shares_socket=listening is not None)
    with suppress(KeyboardInterrupt):
        server.run(None if listening is None else [listening])
    if not server.started:
        raise SystemExit(1)
