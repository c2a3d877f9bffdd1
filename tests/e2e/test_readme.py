"""The README's commands are run, and its tables compared with the code."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.serving.report import markdown
from marketlens import COMMANDS
from tests.support.machine import SeededMachine
from tests.support.paths import REPOSITORY

README = (REPOSITORY / "README.md").read_text()


def blocks_after(heading: str) -> list[str]:
    """The commands below a heading, up to the next one that is not below it."""
    start = re.search(rf"^(##+) {heading}\n", README, re.MULTILINE)
    assert start
    below = README[start.end() :]
    end = re.search(rf"^#{{2,{len(start[1])}}} ", below, re.MULTILINE)
    return re.findall(r"```console\n(.*?)```", below[: end.start() if end else None], re.DOTALL)


@pytest.mark.e2e
def test_first_search(seeded: SeededMachine, sample: Path) -> None:
    """Every command of the section, as written but for the address and the folder."""
    commands, change, _ = blocks_after("First search")
    assert commands.count("curl") == 6
    commands = commands.replace("http://127.0.0.1:8000", seeded.machine.url)
    commands = commands.replace("var/sample-*", str(sample))
    script = f"set -euo pipefail\n{commands}".replace("\ncurl -s ", "\necho; curl -s ")
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    held, cheap, in_size, polled, listed = answers
    assert held["status"] == "succeeded"
    assert len(held["result"]["results"]) == 3
    assert {float(row["price"]) <= 50 for row in cheap["result"]["results"]} == {True}
    assert in_size["status"] == "succeeded"
    assert polled["type"] == "search"
    assert listed["job"]["type"] == "embed"
    change = change.replace("http://127.0.0.1:8000", seeded.machine.url)
    script = f"set -euo pipefail\nid={listed['listing_id']}\n{change}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    changed = json.loads(done.stdout)
    assert (changed["price"], changed["attributes"]) == ("9.50", {"colour": ["red"]})
    seeded.http.delete(f"/v1/listings/{listed['listing_id']}").raise_for_status()


@pytest.mark.e2e
def test_words_and_ranking(seeded: SeededMachine, sample: Path) -> None:
    """Every command of the section, as written but for the address and the photo."""
    (commands,) = blocks_after("Words and ranking")
    commands = commands.replace("http://127.0.0.1:8000", seeded.machine.url)
    photo = next((sample / "held_out").glob("*.jpg"))
    script = f"set -euo pipefail\nphoto={photo}\n{commands}".replace(
        "\ncurl -s ", "\necho; curl -s "
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert [one["status"] for one in found] == ["succeeded"] * 3
    words, _, ranked = (one["result"]["results"] for one in found)
    assert all("kettle" in row["title"].casefold() for row in words)
    reasons = [set(row["reasons"]) for row in ranked]
    assert reasons == [{"similarity", "price", "distance", "freshness", "category"}] * len(ranked)


def test_every_command_named_exists() -> None:
    named = set(
        re.findall(
            r"marketlens ([a-z]+)", README + (REPOSITORY / "docs/architecture.md").read_text()
        )
    )
    assert {"up", "seed"} <= named
    assert named <= set(COMMANDS)


def test_every_make_target_named_exists() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("script", ["settings_table.py", "quote_results.py"])
def test_what_is_generated_is_up_to_date(script: str) -> None:
    check = [sys.executable, str(REPOSITORY / "scripts" / script), "--check"]
    assert subprocess.run(check, check=False).returncode == 0


def test_the_results_are_those_of_the_figures() -> None:
    folder = REPOSITORY / "benchmarks"
    results = json.loads((folder / "results.json").read_text())
    assert (folder / "RESULTS.md").read_text() == markdown(results)


def test_links_lead_somewhere() -> None:
    for path in [REPOSITORY / "README.md", *REPOSITORY.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", path.read_text()):
            assert (path.parent / link).exists(), f"{path.name}: {link}"
