"""Words by which tables state nothing."""

from typing import Final

# What databases, spreadsheets, pandas and R export, and what people write.
NOT_STATED: Final = frozenset(
    {
        *("", "-", "--", "---", "–", "—", "\\n"),  # noqa: RUF001 - dashes as people write them
        *("null", "(null)", "[null]", "<null>", "#null!", "nil", "<nil>", "(nil)"),
        *("none", "(none)", "<none>", "undefined", "<na>", "na", "n/a", "n.a.", "n.a", "n/a."),
        *("#n/a", "#n/a n/a", "#na", "nan", "-nan", "<nan>", "nat", "not available"),
        *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "not applicable"),
    }
)
"""In lower case: such a cell states nothing, in whichever column it is."""

_LONGEST = max(map(len, NOT_STATED))


def is_stated(line: str) -> bool:
    """Whether a line of text states something, in any case of letters."""
    text = line.strip()
    return len(text) > _LONGEST or text.casefold() not in NOT_STATED
