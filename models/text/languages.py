"""The languages whose inflections are known. Apart, as settings are read where nothing stems."""

from typing import Literal

TextLanguage = Literal[
    "none",
    "basque",
    "catalan",
    "czech",
    "danish",
    "dutch_porter",
    "english",
    "estonian",
    "finnish",
    "french",
    "german",
    "greek",
    "hungarian",
    "irish",
    "italian",
    "lithuanian",
    "norwegian",
    "polish",
    "portuguese",
    "romanian",
    "russian",
    "serbian",
    "spanish",
    "swedish",
    "turkish",
]
"""Languages whose words are inflected at their ends; Snowball has others, which are not offered."""
