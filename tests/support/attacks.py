"""Requests that are made to stall, to swell or to crash the API, each sent to a real server."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Final

from tests.support.hostile_client import Answer, ask, beside, exchange, form, form_headers, head_of
from tests.support.hostile_photos import jpeg_of_scans, tiny_webp, webp_of_noise
from tests.support.pictures import jpeg

JSON: Final = ["Content-Type: application/json"]
TITLE: Final = {"title": "A thing"}


@dataclass(frozen=True)
class Target:
    """An API, and by how much the attacks on it are smaller than they may be (1: as they are)."""

    port: int
    smaller: int = 1

    def many(self, number: int) -> int:
        return max(number // self.smaller, 1)


Attack = Callable[[Target], Coroutine[object, object, list[Answer]]]


async def million_names(target: Target) -> list[Answer]:
    """A search by a million names, none of which is one."""
    names = ",".join(["1"] * 10 + ['"x"'] * 1_000_000)
    body = ('{"positive": [' + names + "]}").encode()
    return [await ask(target.port, "POST", "/v1/searches", body, JSON)]


async def many_bad_fields(target: Target) -> list[Answer]:
    """Five searches with 4,000 fields that are not known."""
    body = json.dumps({f"f{number}": 1 for number in range(4_000)}).encode()
    return [await ask(target.port, "POST", "/v1/searches", body, JSON) for _ in range(5)]


async def nested(target: Target) -> list[Answer]:
    """Lists in lists, as deep as the body is long."""
    body = b'{"listing_id": ' + b"[" * 30_000
    return [await ask(target.port, "POST", "/v1/searches", body, JSON)]


async def half_heads(target: Target) -> list[Answer]:
    """1,050 heads of which the end never comes, and a request beside them."""
    writers = await _half_sent(target, b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ", target.many(1_050))
    await asyncio.sleep(3)
    body = form(("photo", "a", jpeg(9)))
    answer = await ask(target.port, "POST", "/v1/searches", body, form_headers())
    await asyncio.sleep(1)
    for writer in writers:
        writer.transport.abort()
    return [beside(answer, "search")]


async def half_bodies(target: Target) -> list[Answer]:
    """1,050 bodies of which a byte comes now and then."""
    head = head_of(target.port, "POST", "/v1/searches", [*JSON, "Content-Length: 1000"])

    async def slowly() -> AsyncIterator[bytes]:
        yield head
        for _ in range(120):
            yield b" "
            await asyncio.sleep(1)

    sending = [
        asyncio.create_task(exchange(target.port, slowly(), timeout_s=45))
        for _ in range(target.many(1_050))
    ]
    await asyncio.sleep(3)
    healthy = await ask(target.port, "GET", "/healthz")
    return [beside(healthy, "health"), *await asyncio.gather(*sending)]


async def _half_sent(target: Target, some: bytes, number: int) -> list[asyncio.StreamWriter]:
    writers = []
    for _ in range(number):
        try:
            opening = asyncio.open_connection("127.0.0.1", target.port)
            _, writer = await asyncio.wait_for(opening, 5)
        except (OSError, TimeoutError):
            continue
        writer.write(some)
        writers.append(writer)
    return writers


async def endless_head(target: Target) -> list[Answer]:
    """Four heads of 60 MB."""

    async def endless() -> AsyncIterator[bytes]:
        yield b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
        for number in range(1_000):
            yield b"X-%d: " % number + b"a" * 60_000 + b"\r\n"
        yield b"Connection: close\r\n\r\n"

    return list(await asyncio.gather(*(exchange(target.port, endless()) for _ in range(4))))


async def big_bulks(target: Target) -> list[Answer]:
    """Six bulk uploads of 171 MB at once, each of many parts."""
    photo = jpeg(1) + bytes(57_000)
    files = [(f"p{number}", "a.jpg", photo) for number in range(target.many(2_700))]
    row = {"title": "A thing", "photos": ["p0"]}
    table = ("listings", "l.ndjson", json.dumps(row).encode())
    body = form(table, *files)
    asked = [ask(target.port, "POST", "/v1/listings:batch", body, form_headers()) for _ in range(6)]
    return list(await asyncio.gather(*asked))


async def bulks_of_webp(target: Target) -> list[Answer]:
    """Two bulk uploads of 30 WebPs of 50 megapixels, and searches beside them."""
    webp = webp_of_noise()
    files = [(f"p{number}", "a.webp", webp + bytes([number])) for number in range(30)]
    rows = [json.dumps({"title": "A", "photos": [name]}) for name, _, _ in files]
    body = form(("listings", "l.ndjson", "\n".join(rows).encode()), *files[: target.many(30)])
    bulks = [
        asyncio.create_task(
            ask(target.port, "POST", "/v1/listings:batch", body, form_headers(), timeout_s=240)
        )
        for _ in range(2)
    ]
    await asyncio.sleep(2)
    answers = [
        beside(await _search(target, jpeg(4), "Prefer: wait=30"), "search"),
        beside(await _search(target, webp_of_noise(3000, 2000)), "search by a WebP"),
    ]
    return [*answers, *await asyncio.gather(*bulks)]


async def _search(target: Target, photo: bytes, *headers: str) -> Answer:
    body = form(("photo", "a", photo))
    return await ask(target.port, "POST", "/v1/searches", body, [*form_headers(), *headers])


async def tiny_bombs(target: Target) -> list[Answer]:
    """Sixteen searches at once by a WebP of 50 megapixels in 28 bytes."""
    photo = tiny_webp()
    return list(await asyncio.gather(*(_search(target, photo) for _ in range(target.many(16)))))


async def bombs_in_one(target: Target) -> list[Answer]:
    """A search by sixteen such WebPs."""
    photos = [("photo", "a", tiny_webp(8166, 6124 - number)) for number in range(16)]
    return [await ask(target.port, "POST", "/v1/searches", form(*photos), form_headers())]


async def jpegs_of_scans(target: Target) -> list[Answer]:
    """Eight searches at once by a JPEG of 90 scans."""
    photo = jpeg_of_scans(90)
    return list(await asyncio.gather(*(_search(target, photo) for _ in range(target.many(8)))))


async def long_name(target: Target) -> list[Answer]:
    """Rows that name photos by 9.9 MB; then the jobs are listed."""
    row = json.dumps({"title": "A", "photos": ["x" * 9_900_000]}).encode()
    body = form(("listings", "l.ndjson", row))
    answers = [
        await ask(target.port, "POST", "/v1/listings:batch", body, form_headers())
        for _ in range(target.many(12))
    ]
    listed = await ask(target.port, "GET", "/v1/jobs")
    return [beside(listed, "jobs"), *answers]


async def many_parts(target: Target) -> list[Answer]:
    """A form of 100,000 parts."""
    parts = [("photo", "a", b"x")] * 100_000
    return [await ask(target.port, "POST", "/v1/searches", form(*parts), form_headers())]


async def full_uploads(target: Target) -> list[Answer]:
    """100 searches at once by photos of 19 MB that are none."""
    photo = b"\xff\xd8\xff" + bytes(19_000_000)
    return list(await asyncio.gather(*(_search(target, photo) for _ in range(target.many(100)))))


async def line_feeds(target: Target) -> list[Answer]:
    """A category and a title with control characters in them."""
    listing = {**TITLE, "category": "A\nB / C\x1b[31m", "seller": "a\r\nb"}
    body = form(("listing", None, json.dumps(listing).encode()), ("photos", "a", jpeg(2)))
    made = await ask(target.port, "POST", "/v1/listings", body, form_headers())
    listing_id = json.loads(made.body)["listing_id"]
    read = await ask(target.port, "GET", f"/v1/listings/{listing_id}")
    return [beside(read, "listing"), made]


async def hang_ups(target: Target) -> list[Answer]:
    """300 clients that wait for the answer to a search hang up at once."""
    body = form(("photo", "a", jpeg(7)))
    head = head_of(
        target.port,
        "POST",
        "/v1/searches",
        [*form_headers(), "Prefer: wait=30", f"Content-Length: {sum(map(len, body))}"],
    )
    waiting = [
        asyncio.create_task(exchange(target.port, [head, *body])) for _ in range(target.many(300))
    ]
    await asyncio.sleep(2)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    answer = await _search(target, jpeg(8), "Prefer: wait=30")
    await asyncio.sleep(5)
    return [beside(answer, "search")]


async def overload(target: Target) -> list[Answer]:
    """400 clients, each of which searches as soon as it is answered, for 20 seconds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + max(20 / target.smaller, 5)
    answers: list[Answer] = []

    async def client(number: int) -> None:
        while loop.time() < end:
            photo = jpeg(number % 50)
            answer = await _search(target, photo, "Prefer: wait=30")
            answers.append(answer)
            if answer.status == 429:
                await asyncio.sleep(min(float(answer.headers.get("retry-after", "1")), 2))

    await asyncio.gather(*(client(number) for number in range(target.many(400))))
    return answers


async def queue(target: Target) -> list[Answer]:
    """3,000 searches that nobody waits for, from 100 clients at once."""
    numbers = iter(range(target.many(3_000)))

    async def client() -> list[Answer]:
        return [await _search(target, jpeg(number % 50)) for number in numbers]

    answers = await asyncio.gather(*(client() for _ in range(100)))
    return [answer for some in answers for answer in some]


ATTACKS: Final[dict[str, Attack]] = {
    attack.__name__: attack
    for attack in (
        *(million_names, many_bad_fields, nested, half_heads, half_bodies, endless_head),
        *(many_parts, full_uploads, big_bulks, tiny_bombs, bombs_in_one, jpegs_of_scans),
        *(bulks_of_webp, long_name, line_feeds, hang_ups, overload, queue),
    )
}
