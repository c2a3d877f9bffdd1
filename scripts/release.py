"""Makes a release: version, changelog, wheel and sdist, commit and tag. Pushes nothing.

Standard library only; the wheel and the sdist are made by `build`, which `make setup` installs.
"""

import argparse
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "main"
UNRELEASED = "## Unreleased\n"
# The version is set in pyproject.toml; the image that docker-compose.yml starts is named after it.
VERSION_IN = {
    "pyproject.toml": re.compile(r'(?<=^version = ")[^"]+(?="$)', re.MULTILINE),
    "docker-compose.yml": re.compile(r"(?<=image: marketlens:)\S+"),
}

Version = tuple[int, int, int]


def main() -> None:
    """Check, then release; with `--dry-run`, check and say what would be done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version", type=parsed, help="what to release, such as 1.2.3")
    parser.add_argument("--dry-run", action="store_true", help="check, and change nothing")
    arguments = parser.parse_args()
    version: Version = arguments.version
    check_tree()
    check_version(version)
    files = {name: (ROOT / name).read_text() for name in (*VERSION_IN, "CHANGELOG.md")}
    changed = released(files, version)
    if arguments.dry_run:
        print(f"{dotted(version)} can be released. Nothing was changed.")
        return
    publish(files, changed, version)
    print(next_steps(version))


def parsed(text: str) -> Version:
    """Three numbers; raises ValueError, which argparse reports, for anything else."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", text):
        raise ValueError(text)
    major, minor, patch = map(int, text.split("."))
    return major, minor, patch


def dotted(version: Version) -> str:
    """A version as it is written."""
    return ".".join(map(str, version))


def check_tree() -> None:
    """End unless the main branch is checked out and everything is committed."""
    if (branch := git("branch", "--show-current").strip()) != BRANCH:
        sys.exit(f"A release is made on {BRANCH}; this is {branch or 'no branch'}.")
    if changes := git("status", "--porcelain"):
        sys.exit(f"These changes are not committed:\n{changes}")


def check_version(version: Version) -> None:
    """End unless the version is greater than every released one, and not below the project's."""
    tags = [tag.removeprefix("v") for tag in git("tag", "--list", "v*").split()]
    latest = max((parsed(tag) for tag in tags if re.fullmatch(r"\d+\.\d+\.\d+", tag)), default=None)
    if latest and version <= latest:
        sys.exit(f"{dotted(version)} is not greater than the last release, {dotted(latest)}.")
    found = VERSION_IN["pyproject.toml"].search((ROOT / "pyproject.toml").read_text())
    if found and version < parsed(found[0]):
        sys.exit(f"{dotted(version)} is less than the version in pyproject.toml, {found[0]}.")


def released(files: dict[str, str], version: Version) -> dict[str, str]:
    """The texts of the files as the release has them; ends if one is not as expected."""
    changed = {}
    for name, place in VERSION_IN.items():
        changed[name], places = place.subn(dotted(version), files[name])
        if places != 1:
            sys.exit(f"{name} names the version {places} times, not once.")
    before, heading, after = files["CHANGELOG.md"].partition(UNRELEASED)
    if not heading or not after.partition("\n## ")[0].strip():
        sys.exit("CHANGELOG.md has nothing under `## Unreleased`.")
    dated = f"## {dotted(version)} - {datetime.now(UTC).date()}\n"
    changed["CHANGELOG.md"] = f"{before}{UNRELEASED}\n{dated}{after}"
    return changed


def publish(files: dict[str, str], changed: dict[str, str], version: Version) -> None:
    """Write the files, build, commit and tag; put the files back if the build fails."""
    write(changed)
    # Not isolated: with the setuptools that is installed and tested, and without a package index.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(ROOT / "dist")]
    if code := subprocess.run([*command, str(ROOT)], check=False).returncode:
        write(files)
        sys.exit(code)
    git("commit", "--quiet", "--message", f"Release {dotted(version)}", "--", *changed)
    git("tag", "--annotate", f"v{dotted(version)}", "--message", f"Marketlens {dotted(version)}")


def write(files: dict[str, str]) -> None:
    """Write each text to its file."""
    for name, text in files.items():
        (ROOT / name).write_text(text)


def next_steps(version: Version) -> str:
    """What remains to be done by a person."""
    name, series = dotted(version), dotted(version).rpartition(".")[0]
    return f"""
v{name} is committed and tagged; the wheel and the sdist are in dist/. To publish it:

  git push origin {BRANCH} v{name}
  docker build -t marketlens:{name} -t marketlens:{series} -t marketlens:latest .
"""


def git(*arguments: str) -> str:
    """The output of git; ends with its exit code if it fails, after its own message."""
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


if __name__ == "__main__":
    main()
