import pytest

from etl.clean.titles import clean_title


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
