"""Attributes of listings as callers state them."""

from typing import Annotated, Final

from pydantic import BeforeValidator, JsonValue, WithJsonSchema

from models.domain.searches.attributes import (
    MAX_ATTRIBUTE_NAME,
    MAX_ATTRIBUTE_NUMBER,
    MAX_ATTRIBUTE_TEXT,
    MAX_ATTRIBUTE_TEXTS,
    MAX_ATTRIBUTES,
    AttributeValue,
    clean_attributes,
)

ATTRIBUTES_EXAMPLE: Final[dict[str, JsonValue]] = {
    "brand": "Le Creuset",
    "colour": ["red", "cream"],
    "litres": 1.6,
    "boxed": True,
}


def _cleaned(stated: object) -> object:
    return clean_attributes(stated) if isinstance(stated, dict) else stated


AttributesIn = Annotated[
    dict[str, AttributeValue],
    BeforeValidator(_cleaned),
    WithJsonSchema(
        {
            "type": "object",
            "description": f"Up to {MAX_ATTRIBUTES} texts, numbers, booleans or lists of up to "
            f"{MAX_ATTRIBUTE_TEXTS} texts by name, such as brand, size or colour. Names have up to "
            f"{MAX_ATTRIBUTE_NAME} characters and are stored in lower case, texts up to "
            f"{MAX_ATTRIBUTE_TEXT}. What is null or empty is left out.",
            "additionalProperties": {
                "anyOf": [
                    {"type": "string"},
                    {
                        "type": "number",
                        "minimum": -MAX_ATTRIBUTE_NUMBER,
                        "maximum": MAX_ATTRIBUTE_NUMBER,
                    },
                    {"type": "boolean"},
                    {"type": "array", "items": {"type": "string"}},
                    {"type": "null"},
                ]
            },
            "examples": [ATTRIBUTES_EXAMPLE],
        }
    ),
]
"""Attributes by the rules of `models.domain.searches.attributes`."""
