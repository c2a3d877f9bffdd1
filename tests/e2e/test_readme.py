"""The README's commands are run, and its tables compared with the code."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.serving.report import markdown
from marketlens import COMMANDS
from models.domain.clock import utc_now
from ops.processes import marketlens_command
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


@pytest.mark.e2e
def test_events_and_recommendations(seeded: SeededMachine, tmp_path: Path) -> None:
    """Every command of both sections, as written but for the address: what is told first counts."""
    (told,), (asked,) = blocks_after("Events"), blocks_after("Recommendations")
    listing = seeded.http.get("/v1/listings").raise_for_status().json()["items"][0]["id"]
    (tmp_path / "events.csv").write_text(
        f"event_id,user,type,listing_id,at\ne-2,u-4711,viewed,{listing},{utc_now().isoformat()}\n"
    )
    commands = f"{told}\n{asked}".replace("http://127.0.0.1:8000", seeded.machine.url)
    ours = shlex.join(marketlens_command())
    script = f'id={listing}\nmarketlens() {{ echo; {ours} "$@"; }}\n{commands}'
    done = subprocess.run(
        ["bash", "-c", script.replace("\ncurl -s ", "\necho; curl -s ")],
        env=seeded.machine.environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    stored, anywhere, beside = (
        json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")
    )
    assert (stored["stored"], stored["rejected"]) == (1, [])
    exported = seeded.http.get("/v1/users/u-4711").raise_for_status().json()
    assert sorted(event["type"] for event in exported["items"]) == ["saved", "viewed"]
    assert [one["status"] for one in (anywhere, beside)] == ["succeeded"] * 2
    assert beside["result"]["results"]
    assert listing not in {row["listing_id"] for row in beside["result"]["results"]}
    led = [row["because"] for row in anywhere["result"]["results"] if row["because"]]
    assert {(one["listing_id"], one["kind"]) for one in led} == {(listing, "saved")}
    assert "you saved" in done.stdout
    assert seeded.http.delete("/v1/users/u-4711").status_code == 204


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
