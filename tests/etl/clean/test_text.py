import unicodedata

import pytest

from etl.clean.text import clean_line, clean_text, clean_title


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("Plain longsleeve | in Oldham, Manchester | Gumtree", "Plain longsleeve"),
        ("Lamp | brass | in York, North Yorkshire | Gumtree", "Lamp | brass"),
        ("Lamp | in York | GUMTREE  ", "Lamp"),
        ("Lamp | Gumtree", "Lamp"),
        ("Lamp | Gumtree | Gumtree", "Lamp"),
        ("Lamp | in York | Gumtree | in York | Gumtree", "Lamp"),
        ("Lamp |in York|Gumtree", "Lamp"),
        ("Lamp | in York |\xa0Gumtree\r", "Lamp"),
        ("Lamp | in perfect order", "Lamp | in perfect order"),
        ("Lamp | not in York | Gumtree", "Lamp | not in York"),
        ("Gumtree figurine", "Gumtree figurine"),
        ("Gumtree", "Gumtree"),
        ("A lamp as on Gumtree", "A lamp as on Gumtree"),
        ("Lamp\rwith shade", "Lamp with shade"),
        ("| in York | Gumtree", ""),
        (" \t\r ", ""),
    ],
)
def test_titles_lose_the_tail_of_the_site(written: str, title: str) -> None:
    assert clean_title(written) == title


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
