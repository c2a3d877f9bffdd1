import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.domain.text import CATEGORY_SEPARATOR, clean_category, clean_line, clean_text

# Any Unicode, with much of what means something to the rules.
# A list, as the alphabet of `st.text` has no surrogates and draws all characters alike.
TEXT = st.lists(
    st.sampled_from("/ >AbÉ\n\t\r\x00\x85\xa0\u0301\u0338\u1100\u1161\u200b\u200d\u2028\ud800")
    | st.characters(),
    max_size=12,
).map("".join)
SPACES = ("  ", "\xa0", "\u2009", "\u202f", "\u3000", " \t", "\n", "\r\n", "\u2028")


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("  two\t spaces\u3000here ", "two spaces here"),
        ("two\vlines", "two lines"),
        ("Cafe\u0301", "Caf\u00e9"),
        ("nul\x00 bell\x07 escape\x1b[31m", "nul bell escape[31m"),
        ("a\u200bb\ufeffc\u202ed\xade", "abcde"),
        ("sofa 🛋️ family 👨‍👩‍👧 flag 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "sofa 🛋️ family 👨‍👩‍👧 flag 🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        ("£5 — 100 % “wool”", "£5 — 100 % “wool”"),
    ],
)
def test_a_line_is_plain_but_keeps_what_can_be_seen(written: str, line: str) -> None:
    assert clean_line(written) == line


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("Sofa.\rGood.", "Sofa.\nGood."),
        ("Sofa.\r\nGood.", "Sofa.\nGood."),
        ("Sofa.\vGood.", "Sofa.\nGood."),
        ("Sofa.\u2028Good.", "Sofa.\nGood."),
        ("Sofa.\r\rGood.", "Sofa.\n\nGood."),
        ("Sofa.\r \r\r\r Good.\r", "Sofa.\n\nGood."),
        ("Sofa.\n\u200b\n\n\nCafe\u0301.", "Sofa.\n\nCaf\u00e9."),
        ("  wide\t\tgap  \r end ", "wide gap\nend"),
        ("tab\x00led\x0bnext", "tabled\nnext"),
    ],
)
def test_a_text_keeps_its_lines(written: str, text: str) -> None:
    assert clean_text(written) == text


@pytest.mark.parametrize(
    "marks",
    [
        "\u0301\u0323",
        "\u0f73\u0323",
        "\u0344\u0327",
        "\u0301",
        "e\u0308\u0304\u0323",
        "\u1100\u1161",
    ],
)
def test_many_marks_in_a_row_are_normalised_as_few_are(marks: str) -> None:
    text = f"Cafe\u0301 e{marks * 200} ok"
    assert clean_line(text) == unicodedata.normalize("NFC", text)


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    assert clean_line("a\ud800b \udfff") == "ab"


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("TV/DVD", "TV/DVD"),
        ("Electronics / TV/DVD", "Electronics / TV/DVD"),
        ("Home / Bed/Bath", "Home / Bed/Bath"),
        ("Home>Garden", "Home / Garden"),
        ("Home > Garden", "Home / Garden"),
        ("Home >Garden> Tools", "Home / Garden / Tools"),
        ("Home /Garden", "Home / Garden"),
        ("Home/ Garden", "Home / Garden"),
        ("Home\xa0/\u2009Garden", "Home / Garden"),
        ("Home\n/\nGarden", "Home / Garden"),
        ("Home\nand Garden", "Home and Garden"),
        (" / Home // Garden / > / ", "Home / Garden"),
        ("/TV/DVD/", "TV/DVD"),
        ("A//B", "A//B"),
        ("Cafe\u0301 / The\u0301s", "Caf\u00e9 / Th\u00e9s"),
        ("\u226f / >\u0338", "\u226f / \u226f"),
        ("Home\u200b & \x07Garden", "Home & Garden"),
        ("home / Home", "home / Home"),
        ("/", ""),
        (" > \u200b / ", ""),
        ("", ""),
    ],
)
def test_a_category_is_a_path_of_names(written: str, path: str) -> None:
    assert clean_category(written) == path


@given(TEXT)
@example("\u0301/ \u0301")
@example("> / /x/ >\u0338")
def test_a_path_is_read_as_it_is_shown(text: str) -> None:
    path = clean_category(text)
    assert clean_category(path) == path
    for name in path.split(CATEGORY_SEPARATOR) if path else []:
        # Each name is a whole path by itself: nothing in it parts names.
        assert name
        assert clean_category(name) == name
        assert CATEGORY_SEPARATOR not in name


@given(TEXT)
def test_what_is_clean_stays_and_has_nothing_invisible(text: str) -> None:
    line, lines = clean_line(text), clean_text(text)
    assert clean_line(line) == line
    assert clean_text(lines) == lines
    assert clean_text(line) == line
    assert "  " not in lines
    assert not {unicodedata.category(character) for character in line} & {"Cc", "Cs", "Zl", "Zp"}
    assert [c for c in line if c.isspace()] == [" "] * line.count(" ")
    assert unicodedata.is_normalized("NFC", lines)


@given(st.lists(st.text(st.characters(codec="utf-8")), max_size=4), st.data())
def test_a_name_is_the_same_in_any_spelling(names: list[str], data: st.DataObject) -> None:
    words = [word for name in names for word in clean_line(name).split()]
    path = clean_category(" ".join(words))
    for form in ("NFC", "NFD"):
        space = data.draw(st.sampled_from(SPACES))
        spelt = space.join(unicodedata.normalize(form, word) for word in words)
        assert clean_line(spelt) == " ".join(words)
        assert clean_category(space + spelt + space) == path
