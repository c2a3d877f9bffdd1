"""Attributes of listings, such as brand, size or colour: their values, and conditions on them.

An attribute is a text, a number, a boolean, or a list of texts. Names and texts are lines by the
rule of `models.domain.text`; names are in lower case. Texts are compared without regard to case.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Final

from models.domain.text import clean_line

MAX_ATTRIBUTES: Final = 64
"""Of a listing."""
MAX_ATTRIBUTE_NAME: Final = 64
MAX_ATTRIBUTE_TEXT: Final = 500
"""In characters, as the one above."""
MAX_ATTRIBUTE_TEXTS: Final = 32
"""In a list."""
MAX_ATTRIBUTE_NUMBER: Final = 1e15
"""As an absolute value; up to here a whole number is exact."""

# As JSON writes them, but without an exponent: 007 and 1e5 are rather names than numbers.
_PLAIN_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_BOOLEANS: Final = {"true": True, "false": False}

Scalar = bool | int | float | str
AttributeValue = Scalar | list[str]
Attributes = Mapping[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class AttributeCondition:
    """What an attribute must be: one of `any_of`, or a number from `at_least` to `at_most`.

    A list of texts is one of `any_of` if any of its texts is. Numbers and booleans equal only their
    like. A listing without the attribute does not pass.
    """

    name: str
    any_of: tuple[Scalar, ...] = ()
    at_least: float | None = None
    at_most: float | None = None

    def is_met(self, attributes: Attributes) -> bool:
        """Whether a listing with these attributes passes."""
        value = attributes.get(self.name)
        if value is None:
            return False
        if self.any_of:
            wanted = {comparable(one) for one in self.any_of}
            values = value if isinstance(value, list) else [value]
            return any(comparable(one) in wanted for one in values)
        if isinstance(value, bool | str | list):
            return False
        low, high = self.at_least, self.at_most
        return (low is None or value >= low) and (high is None or value <= high)


def comparable(value: Scalar) -> tuple[str, str | float]:
    """What equal values have in common: their type, and the text without case, or the number."""
    if isinstance(value, str):
        return "text", value.casefold()
    return ("boolean" if isinstance(value, bool) else "number"), float(value)


def attribute_name(stated: str) -> str:
    """The name of an attribute as it is stored. Raises ValueError with what is wrong."""
    name = clean_line(stated).casefold()
    if not name:
        raise ValueError("an attribute needs a name")
    if len(name) > MAX_ATTRIBUTE_NAME:
        raise ValueError(f"the name of attribute {name[:20]!r}… is over {MAX_ATTRIBUTE_NAME} long")
    return name


def clean_attributes(stated: Mapping[str, object]) -> dict[str, AttributeValue]:
    """Attributes as they are stored, in order of name; those without a value are left out.

    Raises ValueError with what is wrong.
    """
    cleaned: dict[str, AttributeValue] = {}
    for written, value in stated.items():
        name = attribute_name(written)
        if name in cleaned:
            raise ValueError(f"the attribute {name!r} is stated twice")
        kept = _clean_value(name, value)
        if kept is not None:
            cleaned[name] = kept
    if len(cleaned) > MAX_ATTRIBUTES:
        raise ValueError(f"a listing has at most {MAX_ATTRIBUTES} attributes")
    return dict(sorted(cleaned.items()))


def _clean_value(name: str, value: object) -> AttributeValue | None:
    match value:
        case None:
            return None
        case str():
            return _clean_text(name, value) or None
        case bool():
            return value
        case int() | float():
            return _clean_number(name, value)
        case list() | tuple():
            return _clean_texts(name, value) or None
        case _:
            raise ValueError(
                f"the attribute {name!r} is neither a text, a number, a boolean nor a list of texts"
            )


def _clean_text(name: str, stated: str) -> str:
    text = clean_line(stated)
    if len(text) > MAX_ATTRIBUTE_TEXT:
        raise ValueError(f"the attribute {name!r} is over {MAX_ATTRIBUTE_TEXT} characters long")
    return text


def _clean_texts(name: str, stated: Sequence[object]) -> list[str]:
    texts: dict[str, str] = {}
    for one in stated:
        if not isinstance(one, str):
            # Pydantic takes a TypeError for a fault of the program.
            raise ValueError(f"the list of the attribute {name!r} has {one!r}, which is no text")  # noqa: TRY004
        text = _clean_text(name, one)
        if text:
            texts.setdefault(text.casefold(), text)
    if len(texts) > MAX_ATTRIBUTE_TEXTS:
        raise ValueError(f"the attribute {name!r} has more than {MAX_ATTRIBUTE_TEXTS} texts")
    return list(texts.values())


def _clean_number(name: str, stated: float) -> int | float:
    # Compared first: an integer may be too large to be made a float.
    if abs(stated) > MAX_ATTRIBUTE_NUMBER or not isfinite(stated):
        raise ValueError(
            f"the attribute {name!r} is no number from -{MAX_ATTRIBUTE_NUMBER:g} to "
            f"{MAX_ATTRIBUTE_NUMBER:g}"
        )
    return int(stated) if stated == int(stated) else float(stated)


def scalar_of_text(text: str) -> Scalar:
    """The value that a cell of a table states: `true`, `false`, a plain number, or else a text."""
    stated = text.strip()
    if stated.lower() in _BOOLEANS:
        return _BOOLEANS[stated.lower()]
    if not _PLAIN_NUMBER.fullmatch(stated):
        return stated
    number = float(stated)
    # A longer one, such as a number of a product, would lose its last digits.
    is_exact = abs(number) <= MAX_ATTRIBUTE_NUMBER
    return stated if not is_exact else int(number) if number.is_integer() else number


def texts_of(attributes: Attributes) -> Iterable[str]:
    """What of the attributes is text, in their order."""
    for value in attributes.values():
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            yield from value
