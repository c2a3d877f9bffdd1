"""Ids as feeds write them."""

import re

# UUID() itself also takes braces, URNs and hyphens anywhere, and the name of a photo's file is its
# id: this is what keeps that name inside the photo folder.
UUID_TEXT = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A UUID in its canonical spelling."""


def canonical_id(text: str) -> str:
    """The id without the spaces around it, in lower case: canonical if it is a UUID at all."""
    return text.strip().lower()


def is_id(text: str) -> bool:
    """Whether this is a UUID, in any case and with spaces around it or without."""
    return UUID_TEXT.fullmatch(canonical_id(text)) is not None
