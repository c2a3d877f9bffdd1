"""The words of a listing, by field: what is stored, searched and scored."""

from typing import Final, NamedTuple

from models.domain.searches.attributes import Attributes
from models.text.normalise import words_of

MAX_WORDS: Final = 500
"""Of a title, of all attributes and of a category: those behind are not searched."""
MAX_DESCRIPTION_WORDS: Final = 2_000


class ListingWords(NamedTuple):
    """The words of each field, in its order, with single spaces between them."""

    title: str = ""
    attributes: str = ""
    category: str = ""
    description: str = ""

    def distinct(self) -> set[str]:
        """All words of the listing."""
        return set(" ".join(self).split())


def listing_words(
    title: str, attributes: Attributes, category: str | None, description: str
) -> ListingWords:
    """The words of a listing whose fields are as they are stored."""
    return ListingWords(
        " ".join(words_of(title, MAX_WORDS)),
        " ".join(words_of(_text_of(attributes), MAX_WORDS)) if attributes else "",
        " ".join(words_of(category, MAX_WORDS)) if category else "",
        " ".join(words_of(description, MAX_DESCRIPTION_WORDS)),
    )


def _text_of(attributes: Attributes) -> str:
    """Values of attributes as text; of one that is only true or false, its name if it is true."""
    parts: list[str] = []
    for name, value in sorted(attributes.items()):
        match value:
            case bool():
                parts += [name] if value else []
            case list():
                parts += value
            case _:
                parts.append(str(value))
    return " ".join(parts)
