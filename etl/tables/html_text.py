"""Descriptions in HTML, as text."""

import re
from html import unescape
from html.parser import HTMLParser
from typing import Final

# What shops' editors write; other `<…>` is text, as in `sizes <5 and >9`.
_TAG = re.compile(
    r"</?(?:a|abbr|article|b|blockquote|br|center|code|dd|details|div|dl|dt|em|figure|font|footer"
    r"|h[1-6]|header|hr|i|iframe|img|ins|label|li|main|mark|nav|ol|p|pre|s|script|section|small"
    r"|span|strike|strong|style|sub|summary|sup|table|tbody|td|tfoot|th|thead|tr|tt|u|ul|video)"
    r"(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});", re.IGNORECASE)

_LINES: Final = frozenset(
    ("br", "dd", "div", "dt", "figure", "footer", "header", "hr", "li", "section", "td", "th", "tr")
)
_PARAGRAPHS: Final = frozenset(
    {"article", "blockquote", "dl", "h1", "h2", "h3", "h4", "h5", "h6", "main", "ol", "p", "pre"}
    | {"table", "ul"}
)
_DROPPED: Final = frozenset(("iframe", "noscript", "script", "style", "template", "video"))


def html_to_text(text: str) -> str:
    """The text that a browser would show of this HTML, in lines; other text as it is."""
    if _TAG.search(text) is None:
        return unescape(text) if _ENTITY.search(text) else text
    parser = _Parser()
    parser.feed(text)
    parser.close()
    return "".join(parser.pieces)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self._dropped = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        del attrs
        if tag in _DROPPED:
            self._dropped += 1
        self._break(tag)
        if tag == "li":
            self.pieces.append("- ")

    def handle_endtag(self, tag: str) -> None:
        if tag in _DROPPED:
            self._dropped = max(0, self._dropped - 1)
        elif tag != "br":
            self._break(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        del attrs
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._dropped:
            # Line breaks of the source are spaces.
            self.pieces.append(" ".join(data.split("\n")).replace("\r", " ").replace("\v", " "))

    def _break(self, tag: str) -> None:
        if self._dropped:
            return
        if tag in _PARAGRAPHS:
            self.pieces.append("\n\n")
        # Elements that end beside others that begin make one line break.
        elif tag == "br" or (tag in _LINES and not self._ends_line()):
            self.pieces.append("\n")

    def _ends_line(self) -> bool:
        for piece in reversed(self.pieces):
            if piece.strip(" \t"):
                return piece.rstrip(" \t").endswith("\n")
        return True
