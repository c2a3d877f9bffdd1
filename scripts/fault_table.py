"""Writes the table of faults into docs/reliability.md, from the rows that `make faults` has left.

Usage: fault_table.py ROWS, a file of JSON lines as `tests/support/faults.py` writes them.
"""

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from readme_section import rewrite  # noqa: E402 - beside this file

HEADER = (
    "| fault | database | rounds | accepted | lost | doubled | stuck | wrong "
    "| search again after | photos embedded again after | |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|\n"
)


def table(rows: list[dict[str, Any]]) -> str:
    """The whole table: the newest row of each fault on each database."""
    newest = {(row["fault"], row["database"]): row for row in rows}
    return HEADER + "".join(map(_line, newest.values()))


def _line(row: dict[str, Any]) -> str:
    names = ("fault", "database", "rounds", "accepted", "lost", "doubled", "stuck", "wrong")
    cells = [f"{row[name]:,}" if isinstance(row[name], int) else str(row[name]) for name in names]
    times = [row["search_recovery_s"], row["embed_recovery_s"]]
    cells += ["" if seconds is None else f"{seconds} s" for seconds in times]
    return f"| {' | '.join([*cells, row['note']])} |\n"


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    rewrite("faults", table([json.loads(line) for line in lines]), ROOT / "docs/reliability.md")
