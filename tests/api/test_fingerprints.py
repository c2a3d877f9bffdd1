"""Two requests have the same fingerprint if and only if they ask for the same."""

import asyncio
from dataclasses import dataclass, replace

from fastapi import Request
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.types import Message

from api.idempotency.fingerprint import fingerprint

BOUNDARIES = st.text("abcXYZ019-_", min_size=1, max_size=70).map(lambda text: f"-{text}")
NAMES = st.sampled_from(["photo", "limit", "listing", "a", "ab"])
CONTENTS = st.sampled_from([b"a", b"ab", b"b", b"\r\n", b"\r\n--", b"\x00\xff"]) | st.binary(
    min_size=1, max_size=40
)


@dataclass(frozen=True)
class Part:
    """A part of a form."""

    name: str
    filename: str | None
    content_type: str | None
    content: bytes

    def encoded(self) -> bytes:
        filename = "" if self.filename is None else f'; filename="{self.filename}"'
        head = f'Content-Disposition: form-data; name="{self.name}"{filename}\r\n'
        if self.content_type is not None:
            head += f"Content-Type: {self.content_type}\r\n"
        return head.encode() + b"\r\n" + self.content + b"\r\n"


PARTS = st.lists(
    st.builds(
        Part,
        NAMES,
        st.sampled_from([None, "a", "b.jpg"]),
        st.sampled_from([None, "image/jpeg", "a"]),
        CONTENTS,
    ),
    max_size=4,
)


@dataclass(frozen=True)
class Asked:
    """What a request asks for."""

    method: str = "POST"
    path: str = "/v1/searches"
    query: bytes = b""
    content_type: str = "application/json"
    body: bytes = b""


REQUESTS = st.builds(
    Asked,
    st.sampled_from(["POST", "PUT"]),
    st.sampled_from(["/v1/searches", "/v1/listings"]),
    st.sampled_from([b"", b"a=b", b"a=b&c=d"]),
    st.sampled_from(["", "application/json", "image/jpeg"]),
    CONTENTS | st.just(b""),
)


def fingerprint_of(asked: Asked, *, chunk: int = 7) -> str:
    """The fingerprint of a request whose body comes in small pieces."""
    scope = {
        "type": "http",
        "method": asked.method,
        "path": asked.path,
        "query_string": asked.query,
        "headers": [(b"content-type", asked.content_type.encode()), (b"host", b"localhost")],
    }
    pieces = [asked.body[at : at + chunk] for at in range(0, len(asked.body), chunk)]

    async def receive() -> Message:
        piece = pieces.pop(0) if pieces else b""
        return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

    return asyncio.run(fingerprint(Request(scope, receive)))


def form(parts: list[Part], boundary: str) -> Asked:
    body = b"".join(f"--{boundary}\r\n".encode() + part.encoded() for part in parts)
    kind = f"multipart/form-data; boundary={boundary}"
    return Asked(content_type=kind, body=body + f"--{boundary}--\r\n".encode())


def fits(parts: list[Part], boundary: str) -> bool:
    """Whether no part has the boundary in it, as clients make sure."""
    return not any(f"--{boundary}".encode() in b"\r\n" + part.content for part in parts)


@given(REQUESTS, REQUESTS)
def test_of_other_bodies_every_byte_counts(one: Asked, other: Asked) -> None:
    assert (fingerprint_of(one) == fingerprint_of(other, chunk=3)) == (one == other)


def test_parameters_of_a_media_type_do_not_count() -> None:
    plain = Asked(content_type="application/json", body=b"{}")
    stated = replace(plain, content_type="Application/JSON; charset=utf-8")
    assert fingerprint_of(plain) == fingerprint_of(stated)


# Put together, what they say is the same.
@example([Part("a", "b.jpg", None, b"x")], [Part("ab", ".jpg", None, b"x")], "-one", "-two")
@given(PARTS, PARTS, BOUNDARIES, BOUNDARIES)
def test_of_forms_the_parts_count_and_not_the_boundary(
    one: list[Part], other: list[Part], boundary: str, another: str
) -> None:
    if not (fits(one + other, boundary) and fits(one + other, another)):
        return
    first = fingerprint_of(form(one, boundary))
    assert fingerprint_of(form(one, another), chunk=11) == first
    assert (fingerprint_of(form(other, another)) == first) == (one == other)


@given(PARTS, BOUNDARIES, st.integers(0, 200))
def test_a_form_that_can_not_be_read_has_one_too(
    parts: list[Part], boundary: str, cut: int
) -> None:
    broken = replace(form(parts, boundary), body=form(parts, boundary).body[:cut])
    assert fingerprint_of(broken) == fingerprint_of(broken, chunk=3)
