"""`Prefer` in all spellings of RFC 7240."""

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response
from hypothesis import given
from hypothesis import strategies as st

from api.jobs.prefer_wait import preferences
from tests.support.http import submit_photo
from tests.support.pictures import jpeg

ASKED = [
    ["wait=1"],
    ["Wait=1"],
    ["WAIT = 1"],
    ['wait="1"'],
    ['wait="\\1"'],
    ["respond-async, wait=1"],
    ["respond-async; foo=bar, wait=1"],
    ['wait=1; foo; bar="a,b;wait=9"'],
    [",, ,wait=1,"],
    ["respond-async", "wait=1"],
    ["wait=1", "wait=9"],
    ["wait=1, WAIT=9"],
    ["handling=lenient,\twait=1\t"],
    ['foo="a, wait=9", wait=1'],
    ["=3, foo==4, @, wait=1"],
    ["wait=001"],
]
NOT_ASKED = [
    ["wait"],
    ["wait="],
    ['wait=""'],
    ["wait=soon"],
    ["wait=-1"],
    ["wait=1.5"],
    ["wait=soon, wait=9"],
    ["wait=0"],
    ["await=9"],
    ["foo=wait=9"],
    ['foo="wait=9"'],
    ['foo="a, wait=9'],
    ["foo; wait=9"],
    ["wait 9"],
    ["wait:9"],
    ["wait=٣"],
]


def submit(client: TestClient, lines: list[str]) -> Response:
    headers = [("Prefer", line.encode()) for line in lines]
    files = {"photo": ("a.jpg", jpeg(1))}
    return client.post("/v1/searches", files=files, headers=headers)  # type: ignore[arg-type] # bytes are taken too


@pytest.mark.parametrize("lines", ASKED)
def test_a_wait_that_is_asked_for(lines: list[str]) -> None:
    assert int(preferences(lines)["wait"]) == 1


def test_a_wait_is_held_and_said(client: TestClient) -> None:
    for lines in (["Wait=1"], ["respond-async", 'foo; bar, wait="1"']):
        assert submit(client, lines).headers["preference-applied"] == "wait=1"


@pytest.mark.parametrize("lines", NOT_ASKED)
def test_no_wait_is_asked_for(client: TestClient, lines: list[str]) -> None:
    response = submit(client, lines)
    assert response.status_code == 202
    assert "preference-applied" not in response.headers


def test_a_wait_without_end_is_shortened(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.jobs.prefer_wait.MAX_WAIT_S", 0.1)
    for seconds in ("31", "9" * 5_000):
        response = submit_photo(client, "search", headers={"Prefer": f"wait={seconds}"})
        assert response.headers["preference-applied"] == "wait=0.1"


# The grammar of RFC 7240, section 2, and of the rules of RFC 9110 that it uses.
SPACE = st.text(" \t", max_size=3)
TOKEN = st.text("!#$%&'*+-.^_`|~09azAZ", min_size=1, max_size=6)
TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=6)


def quoted(text: str) -> st.SearchStrategy[str]:
    """The text as a quoted string, more of its characters escaped than must be."""
    written = [
        st.just(f"\\{one}") if one in '"\\' else st.sampled_from([one, f"\\{one}"]) for one in text
    ]
    return st.tuples(*written).map(lambda parts: f'"{"".join(parts)}"')


def word(text: str) -> st.SearchStrategy[str]:
    """A value, as a token where it is one, or as a quoted string."""
    is_token = text and all(
        one.isascii() and (one.isalnum() or one in "!#$%&'*+-.^_`|~") for one in text
    )
    return quoted(text) | (st.just(text) if is_token else st.nothing())


@st.composite
def pairs(draw: st.DrawFn, name: str, value: str) -> str:
    """A name with a value; an empty value may be left out."""
    if not value and draw(st.booleans()):
        return name
    return f"{name}{draw(SPACE)}={draw(SPACE)}{draw(word(value))}"


@st.composite
def stated(draw: st.DrawFn, name: str, value: str) -> str:
    """A preference with parameters."""
    anycase = "".join(draw(st.sampled_from([one.lower(), one.upper()])) for one in name)
    written = draw(pairs(anycase, value))
    for _ in range(draw(st.integers(0, 2))):
        parameter = draw(st.just("") | pairs(draw(TOKEN), draw(TEXT)))
        written += f"{draw(SPACE)};{draw(SPACE)}{parameter}"
    return written


@st.composite
def headers(draw: st.DrawFn) -> tuple[list[str], dict[str, str]]:
    """Lines of the header, and what they state."""
    wanted = draw(st.lists(st.tuples(TOKEN | st.just("wait"), TEXT | st.just("9")), max_size=5))
    members = [draw(stated(name, value)) for name, value in wanted]
    lines: list[list[str]] = [[]]
    for member in members:
        if draw(st.booleans()):
            lines.append([])
        lines[-1] += [""] * draw(st.integers(0, 2)) + [member]
    meant: dict[str, str] = {}
    for name, value in wanted:
        meant.setdefault(name.lower(), value)
    return [draw(SPACE) + f"{draw(SPACE)},{draw(SPACE)}".join(line) for line in lines], meant


@given(headers())
def test_any_spelling_means_the_same(spelt: tuple[list[str], dict[str, str]]) -> None:
    lines, meant = spelt
    assert preferences(lines) == meant


@given(st.lists(st.text('wait=9;, "\\', max_size=40), max_size=3))
def test_anything_at_all_is_read(lines: list[str]) -> None:
    for name, value in preferences(lines).items():
        assert name
        assert name == name.lower()
        assert value is not None


@pytest.mark.parametrize("text", ['"', "\\", " ", ";", ",", '"\\', "a=", 'a="', "a ;"])
def test_long_headers_take_no_quadratic_time(text: str) -> None:
    # Quadratic would be minutes.
    preferences([text * 100_000])
