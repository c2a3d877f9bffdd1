"""What docs/security.md names is there: settings, commands, sections."""

import re

from command_line.lazy import CommandRef, Group
from marketlens import COMMANDS
from settings import PREFIX, Settings
from tests.support.paths import REPOSITORY

PAGE = (REPOSITORY / "docs" / "security.md").read_text()


def anchors(page: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(links) > 10
    for link in links:
        file, _, anchor = link.partition("#")
        target = REPOSITORY / "docs" / file if file else REPOSITORY / "docs" / "security.md"
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


def test_its_settings_and_commands_exist() -> None:
    named = set(re.findall(rf"{PREFIX}(\w+)", PAGE))
    assert {name.lower() for name in named} <= set(Settings.model_fields)
    words = [line.split() for line in re.findall(r"marketlens ([a-z]+ [a-z]+|[a-z]+)", PAGE)]
    groups = [entry for entry in words if isinstance(COMMANDS.get(entry[0]), Group)]
    assert len(groups) > 3
    for group, *rest in groups:
        entry = COMMANDS[group]
        assert isinstance(entry, Group)
        assert isinstance(entry.commands[rest[0]], CommandRef)
