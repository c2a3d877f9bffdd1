"""Writes figures of benchmarks/results.json into README.md."""

import json
from pathlib import Path

from readme_section import rewrite

ROOT = Path(__file__).resolve().parent.parent


def quoted() -> str:
    """What README.md says of them."""
    results = json.loads((ROOT / "benchmarks" / "results.json").read_text())
    by_server = {(row["server"], row["clients"]): row for row in results["rows"]}
    lines = [
        "| searches by new photos | 1 client, median | 8 clients | 32 clients |",
        "|---|---|---|---|",
    ]
    for server, name in (
        ("naive", "a server with one synchronous route"),
        ("Marketlens", "Marketlens, as it starts by default"),
    ):
        alone, eight, many = (by_server[server, clients] for clients in (1, 8, 32))
        lines.append(
            f"| {name} | {alone['p50_ms']:.0f} ms | {eight['per_second']:.0f}/s | "
            f"{many['per_second']:.0f}/s |"
        )
    known, accepted = (
        next(row for row in results["rows"] if row["server"].startswith(start))
        for start in ("known vectors", "accepted, SQLite")
    )
    lines += [
        "",
        f"Measured on {results['machine']['cores']} cores ({results['machine']['processor']}), the "
        f"clients on the same, with {results['photos']:,} photos and {results['encoder']}. "
        f"{known['per_second']:.0f} searches a second by listings, whose vectors are known; "
        f"{accepted['per_second']:.0f} accepted. All of it: "
        "[benchmarks/RESULTS.md](benchmarks/RESULTS.md), written by `make bench`.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    rewrite("results", quoted())
