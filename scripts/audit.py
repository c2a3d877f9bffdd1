"""Looks for known vulnerabilities in the versions that are installed: `make audit`.

pip-audit runs in an environment of its own. Where the database of vulnerabilities can't be reached,
nothing is known, which is said and is no failure.
"""

import json
import subprocess
import sys
from pathlib import Path

from tool_environment import tool

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
PIP_AUDIT = "pip-audit==2.10.1"


def main() -> None:
    """Print a line for each known vulnerability; end with 1 if there is any."""
    command = [
        *(str(tool(PIP_AUDIT)), "--requirement", str(CONSTRAINTS)),
        # Nothing is resolved or installed: versions are looked up.
        *("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off"),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    sentence, vulnerable = verdict(done.stdout, done.stderr)
    print(sentence)
    sys.exit(1 if vulnerable else 0)


def verdict(output: str, errors: str) -> tuple[str, bool]:
    """What pip-audit's output says, and whether a vulnerability is known."""
    try:
        found = json.loads(output)["dependencies"]
    except ValueError:
        lines = errors.strip().splitlines() or ["no reason given"]
        return (
            f"Not audited: no database of vulnerabilities can be read ({lines[-1][:200]}).",
            False,
        )
    audited = [package for package in found if "vulns" in package]
    if not audited:
        return "Not audited: the package index that is reached knows no vulnerabilities.", False
    lines = [line for package in audited for line in lines_of(package)]
    unknown = len(found) - len(audited)
    counted = f"{len(audited)} packages audited, {unknown} unknown to the database"
    return "\n".join(lines) or f"No known vulnerability: {counted}.", bool(lines)


def lines_of(package: dict[str, object]) -> list[str]:
    """A line for each vulnerability of a package, as pip-audit reports it."""
    known = package.get("vulns")
    lines = []
    for one in known if isinstance(known, list) else []:
        fixed = ", ".join(one["fix_versions"]) or "no version"
        name, version = package["name"], package["version"]
        lines.append(f"{name} {version}: {one['id']}, mended in {fixed}")
    return lines


if __name__ == "__main__":
    main()
