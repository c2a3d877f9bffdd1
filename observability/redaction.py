"""Keeps secrets out of what is logged, whatever an error's text has."""

import re
from collections.abc import Collection
from typing import Final

SHORTEST: Final = 6
"""Characters of a configured secret that is replaced: shorter ones are parts of words."""
REDACTED: Final = "[redacted]"

_FORMS: Final = (
    # The password of a URL.
    (re.compile(r"(://[^/\s:@]*:)[^@\s/]+(?=@)"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=-]+"), rf"\1{REDACTED}"),
    # Keys of this API, and secrets of webhooks.
    (re.compile(r"\b(mk_|whsec_)[A-Za-z0-9_+/=-]{16,}"), rf"\1{REDACTED}"),
)
_HINTS: Final = ("://", "earer", "EARER", "mk_", "whsec_")


class Redaction:
    """Replaces secrets in a text: those that are configured, and what looks like one."""

    def __init__(self, secrets: Collection[str]) -> None:
        known = sorted({one for one in secrets if len(one) >= SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, text: str) -> str:
        """The text without them."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        # Most lines have nothing of the kind: looking for it costs more than telling that.
        if any(hint in text for hint in _HINTS):
            for form, replacement in _FORMS:
                text = form.sub(replacement, text)
        return text
