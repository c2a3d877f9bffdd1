"""Parts of the self-contained HTML pages of evaluations, without scripts."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from models.evaluation.intervals import Estimate, span

PLOT_WIDTH: Final = 240
PLOT_ROW: Final = 16
HUES: Final = 6
"""The number of distinct colours for encoders."""

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

_STYLE: Final = """
:root {
  color-scheme: light dark;
  --ground: #f7f7f5; --surface: #fff; --sunken: #efefec; --line: #e0e0dc; --edge: #8a8a84;
  --ink: #1c1c1a; --soft: #62625d; --right: #0f766e; --wrong: #a3261b;
  --hue0: #0f766e; --hue1: #b45309; --hue2: #6d28d9; --hue3: #1d4ed8; --hue4: #be185d;
  --hue5: #4d7c0f;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #161615; --surface: #20201e; --sunken: #2a2a27; --line: #363632; --edge: #85857e;
    --ink: #ededea; --soft: #a6a69f; --right: #5ec9bd; --wrong: #ff9c91;
    --hue0: #5ec9bd; --hue1: #f5b261; --hue2: #b9a2ff; --hue3: #8ab4ff; --hue4: #ff9ccb;
    --hue5: #b5d56a;
  }
}
*, ::before, ::after { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; }
h1, h2, h3, h4, p, ol { margin: 0; padding: 0; }
h1 { font-size: 1.75rem; line-height: 1.2; letter-spacing: -0.02em; text-wrap: balance; }
h2 { margin: 2.5rem 0 0.25rem; font-size: 1.25rem; line-height: 1.35; }
h3 { font-size: 1rem; }
h4 { font-size: 0.875rem; }
h1, h2, h3, h4, code { overflow-wrap: anywhere; }
code { font: 0.8125rem ui-monospace, "SF Mono", Menlo, Consolas, monospace; }
.soft { color: var(--soft); font-size: 0.875rem; font-weight: 400; }
.wide { overflow-x: auto; margin-top: 0.75rem; border: 1px solid var(--line);
  border-radius: 12px; background: var(--surface); }
.wide:focus-visible { outline: 3px solid var(--right); outline-offset: 2px; }
table { width: 100%; border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.5rem 0.9rem; text-align: left; vertical-align: top; }
thead th { background: var(--sunken); font-size: 0.875rem; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { min-width: 12rem; max-width: 24rem; font-weight: 600; overflow-wrap: break-word; }
td { white-space: nowrap; }
td .soft { display: block; }
.name { white-space: nowrap; }
.name::before { content: ""; display: inline-block; width: 0.65em; height: 0.65em;
  margin-right: 0.45em; border-radius: 50%; background: var(--hue); }
.hue0 { --hue: var(--hue0); } .hue1 { --hue: var(--hue1); } .hue2 { --hue: var(--hue2); }
.hue3 { --hue: var(--hue3); } .hue4 { --hue: var(--hue4); } .hue5 { --hue: var(--hue5); }
svg { display: block; overflow: visible; }
svg .axis { stroke: var(--line); }
svg .zero { stroke: var(--edge); }
svg .span { stroke: var(--hue); stroke-width: 2; }
svg .value { stroke: var(--hue); stroke-width: 3; }
article { display: grid; grid-template-columns: 9rem minmax(0, 1fr); gap: 1rem; margin-top: 0.75rem;
  padding: 1rem; border: 1px solid var(--line); border-radius: 12px; background: var(--surface); }
article img { display: block; background: var(--sunken); object-fit: contain; border-radius: 6px; }
.query img { width: 100%; height: auto; aspect-ratio: 1; margin-bottom: 0.4rem; }
.found + .found { margin-top: 0.75rem; }
ol { display: flex; flex-wrap: wrap; gap: 0.5rem; margin-top: 0.3rem; list-style: none; }
li { position: relative; width: 80px; font-size: 0.6875rem; line-height: 1.25; }
li img { width: 80px; height: 80px; border: 3px solid var(--right); }
li.miss img { border: 3px dashed var(--wrong); }
.mark { position: absolute; top: 0; left: 0; width: 1.3rem; border-radius: 6px 0;
  background: var(--right); color: var(--surface); font-size: 0.8125rem; font-weight: 700;
  line-height: 1.3rem; text-align: center; }
li.miss .mark { background: var(--wrong); }
li p { margin-top: 0.15rem; color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 40rem) { article { grid-template-columns: minmax(0, 1fr); }
  .query img { width: 9rem; } }
"""


def document(title: str, body: str) -> str:
    """A whole page; the body is HTML."""
    return _PAGE.format(title=escape(title), style=_STYLE, body=body)


def figure(estimate: Estimate | None, digits: int = 3) -> str:
    """A figure above its interval."""
    if estimate is None:
        return "-"
    return f'{estimate.value:.{digits}f}<span class="soft">{span(estimate, digits=digits)}</span>'


def difference(estimate: Estimate | None, digits: int = 3) -> str:
    """A difference above its interval, with their signs."""
    if estimate is None:
        return "-"
    return f'{estimate.value:+.{digits}f}<span class="soft">{span(estimate, "+", digits)}</span>'


def plot(estimates: Sequence[Estimate], low: float = 0.0, high: float = 1.0, hue: int = 0) -> str:
    """An SVG plot of values and their intervals on an axis, in the colours from `hue` on."""
    height = PLOT_ROW * len(estimates)
    scale = PLOT_WIDTH / (high - low)
    axes = "".join(
        f'<path class="axis" d="M{x * PLOT_WIDTH} 0V{height}"/>' for x in (0, 0.25, 0.5, 0.75, 1)
    )
    if low < 0 < high:
        axes += f'<path class="zero" d="M{-low * scale:.1f} 0V{height}"/>'
    marks = "".join(
        f'<g class="hue{(hue + number) % HUES}">'
        f'<path class="span" d="M{(e.low - low) * scale:.1f} {middle}'
        f'H{(e.high - low) * scale:.1f}"/>'
        f'<path class="value" d="M{(e.value - low) * scale:.1f} {middle - 5}v10"/></g>'
        for number, e in enumerate(estimates)
        for middle in [number * PLOT_ROW + PLOT_ROW // 2]
    )
    return (
        f'<svg aria-hidden="true" width="{PLOT_WIDTH}" height="{height}" '
        f'viewBox="0 0 {PLOT_WIDTH} {height}">{axes}{marks}</svg>'
    )


def section(title: str, note: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A titled table, scrollable if it is too wide; cells are HTML."""
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'
        for first, *cells in rows
    )
    return (
        f'<h2>{title}</h2>\n<p class="soft">{note}</p>\n'
        f'<div class="wide" role="region" aria-label="{title}" tabindex="0"><table>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
    )
