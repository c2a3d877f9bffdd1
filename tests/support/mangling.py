"""Tables as nobody should write them, drawn by hypothesis."""

from collections.abc import Callable, Sequence, Sized
from functools import partial

from hypothesis import strategies as st

from tests.support.feeds import listing_id, photo_id

Row = Sequence[str]

# Texts of characters that mean something to CSV, to the cleaning or to Unicode, and whole cells of
# which the cleaning makes values.
LETTERS = list("aB9 /|,\"'\n\r\v\t£.-é\u0301\u200b\xa0\u2028🛋\x00")
TEXT = st.lists(
    st.sampled_from([*LETTERS, "Gumtree", " | in Hull | Gumtree", " / ", "N/A", "\r\r\n"]),
    max_size=8,
).map("".join)
PRICE = st.sampled_from(["£5.00", "N/A", "Free", "€1.250,00", "£12345", "£1 250 ono", "-£1", "?"])
DEGREES = st.sampled_from([("", ""), ("51.5", "-0.0001"), ("90", "1e-7"), ("91", "0"), ("1", "")])
SELLER = st.sampled_from(["", "sam", "0042", "n/a", " Sam  the\xa0man "])


def usually(usual: st.SearchStrategy[str], other: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.integers(0, 5).flatmap(lambda number: usual if number else other)


def product_ids(last: int) -> st.SearchStrategy[str]:
    return usually(st.integers(1, last).map(lambda number: str(listing_id(number))), TEXT)


def photo_ids(last: int) -> st.SearchStrategy[str]:
    return usually(st.integers(1, last).map(lambda number: str(photo_id(number))), TEXT)


TITLE = TEXT.map(lambda text: f"Lamp {text}")


def product_rows(last: int) -> st.SearchStrategy[Row]:
    """Products with numbers up to the last."""
    return st.tuples(
        product_ids(last),
        usually(TITLE, TEXT),
        TEXT,
        TEXT,
        usually(PRICE, TEXT),
        TEXT,
        DEGREES,
        SELLER,
    ).map(lambda cells: (*cells[:-2], *cells[-2], cells[-1]))


def image_rows(last: int, last_product: int) -> st.SearchStrategy[Row]:
    """Images with numbers up to the last, of such products."""
    return st.tuples(photo_ids(last), product_ids(last_product))


def written(rows: Sequence[Row]) -> str:
    """Rows as the real feed's writer writes them: quoted for commas and quotes, not for breaks."""
    return "".join(",".join(map(_field, row)) + "\n" for row in rows)


def _field(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"\n') else text


def overwritten(content: bytes, *, place: float, piece: bytes) -> bytes:
    here = at(place, content)
    return content[:here] + piece + content[here + len(piece) :]


def inserted(content: bytes, *, place: float, piece: bytes) -> bytes:
    here = at(place, content)
    return content[:here] + piece + content[here:]


def cut_off(content: bytes, *, place: float) -> bytes:
    return content[: at(place, content)]


def line_cut(content: bytes, *, place: float) -> bytes:
    here = at(place, content)
    _, end, rest = content[here:].partition(b"\n")
    return content[:here] + end + rest


def line_repeated(content: bytes, *, place: float) -> bytes:
    lines = content.splitlines(keepends=True)
    here = at(place, lines)
    return b"".join([*lines[:here], *lines[here - 1 :]])


def lines_joined(content: bytes, *, place: float) -> bytes:
    here = at(place, content)
    return content[:here] + content[here:].replace(b"\n", b"", 1)


def rewritten(content: bytes, *, old: bytes, new: bytes) -> bytes:
    return content.replace(old, new)


def recoded(content: bytes, *, codec: str) -> bytes:
    return content.decode(errors="replace").encode(codec, errors="replace")


def at(place: float, content: Sized) -> int:
    """Somewhere in it, rather towards its end: a feed without its header is soon refused."""
    return len(content) - int(place * len(content))


PLACE = st.floats(0, 1)
PIECE = st.binary(max_size=3) | st.sampled_from([b'"', b",", b"\n", b"\r", b'","', b"\xff"])
LINE_END = st.sampled_from([b"\r", b"\n", b"\r\n"])
MANGLED = st.lists(
    st.one_of(
        st.builds(partial, st.just(overwritten), place=PLACE, piece=PIECE),
        st.builds(partial, st.just(inserted), place=PLACE, piece=PIECE),
        st.builds(
            partial,
            st.sampled_from([cut_off, line_cut, line_repeated, lines_joined]),
            place=PLACE,
        ),
        st.builds(partial, st.just(rewritten), old=LINE_END, new=LINE_END),
        st.builds(
            partial, st.just(recoded), codec=st.sampled_from(["utf-16", "utf-8-sig", "cp1252"])
        ),
    ),
    max_size=4,
)

Mangle = Callable[[bytes], bytes]


def mangled(content: str, mangles: Sequence[Mangle]) -> bytes:
    data = content.encode()
    for mangle in mangles:
        data = mangle(data)
    return data
