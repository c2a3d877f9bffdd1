"""A client that is told byte by byte what to send, and how slowly."""

import asyncio
import json
import time
from collections.abc import AsyncIterable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

BOUNDARY: Final = "x-hostile"
BLOCK: Final = 1 << 18
NO_ANSWER: Final = 0
"""The status of a connection that was closed, or never answered."""


@dataclass(frozen=True)
class Answer:
    """What came back, and after how many seconds."""

    status: int
    seconds: float
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    to: str = ""
    """What was asked for, where that is not the attack."""

    @property
    def code(self) -> str:
        """The code of the problem, if it is one."""
        if "problem" not in self.headers.get("content-type", ""):
            return ""
        return str(json.loads(self.body)["code"])


def beside(answer: Answer, to: str) -> Answer:
    """An answer to what was asked for beside an attack."""
    return replace(answer, to=to)


async def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | Sequence[bytes] = b"",
    headers: Sequence[str] = (),
    *,
    timeout_s: float = 120,
) -> Answer:
    """The answer to one request, whose body is sent as fast as it is taken."""
    parts = [body] if isinstance(body, bytes) else body
    head = head_of(port, method, path, [*headers, f"Content-Length: {sum(map(len, parts))}"])
    return await exchange(port, [head, *parts], timeout_s=timeout_s)


def head_of(port: int, method: str, path: str, headers: Sequence[str] = ()) -> bytes:
    """The head of a request that has the connection closed after it."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def exchange(
    port: int, parts: Iterable[bytes] | AsyncIterable[bytes], *, timeout_s: float = 120
) -> Answer:
    """The answer to these bytes; an answer that comes before they are all sent is taken, too."""
    started = time.monotonic()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return Answer(NO_ANSWER, time.monotonic() - started)
    sending = asyncio.create_task(_send(writer, parts))
    try:
        received = await asyncio.wait_for(_read(reader), timeout_s)
    except (OSError, TimeoutError):
        received = b""
    finally:
        sending.cancel()
        writer.transport.abort()
        await asyncio.gather(sending, return_exceptions=True)
    return _answer(received, time.monotonic() - started)


async def _send(
    writer: asyncio.StreamWriter, parts: Iterable[bytes] | AsyncIterable[bytes]
) -> None:
    if isinstance(parts, AsyncIterable):
        async for part in parts:
            writer.write(part)
            await writer.drain()
        return
    for part in parts:
        for at in range(0, len(part), BLOCK):
            writer.write(part[at : at + BLOCK])
            await writer.drain()


async def _read(reader: asyncio.StreamReader) -> bytes:
    received = b""
    try:
        while some := await reader.read(1 << 16):
            received += some
    except ConnectionResetError:
        # After an answer to a request that was not read to its end.
        if not received:
            raise
    return received


def _answer(received: bytes, seconds: float) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) < 2:
        return Answer(NO_ANSWER, seconds)
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return Answer(int(words[1]), seconds, headers, body)


def form_headers() -> list[str]:
    """The header of a form made by `form`."""
    return [f"Content-Type: multipart/form-data; boundary={BOUNDARY}"]


def form(*parts: tuple[str, str | None, bytes]) -> list[bytes]:
    """The body of a form: of each part its name, its file name if it is a file, and its bytes."""
    body = []
    for name, file, data in parts:
        stated = f'form-data; name="{name}"' + ("" if file is None else f'; filename="{file}"')
        head = f"--{BOUNDARY}\r\nContent-Disposition: {stated}\r\n\r\n"
        body += [head.encode(), data, b"\r\n"]
    return [*body, f"--{BOUNDARY}--\r\n".encode()]
