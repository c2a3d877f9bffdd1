"""URLs as given by users, with secrets redacted for display."""

import re


def is_url(source: str) -> bool:
    """Whether this is a URL rather than a path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source) is not None


def redact(source: str) -> str:
    """A URL without user, password, query and fragment, for errors and logs; a path as it is."""
    if not is_url(source):
        return source
    scheme, _, rest = source.partition("://")
    shown, *hidden = re.split(r"[?#]", rest, maxsplit=1)
    # An unescaped ? or / in a password hides where it ends: then the last @ is taken for its end,
    # and with one behind the ? too, nothing is certain enough to be shown.
    if any("@" in part for part in hidden):
        return f"{scheme}://…"
    return f"{scheme}://{shown.rpartition('@')[2]}"
