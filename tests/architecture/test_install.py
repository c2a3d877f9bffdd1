"""What `make setup` installs must be what the project names."""

import importlib.util
import re
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.paths import REPOSITORY

PYPROJECT: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROJECT: dict[str, Any] = PYPROJECT["project"]
GROUPS: dict[str, list[str | dict[str, str]]] = PYPROJECT["dependency-groups"]


@pytest.fixture(scope="module")
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", REPOSITORY / "scripts" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_in(group: str) -> set[str]:
    """The packages of a group and of those that it includes, as constraints.txt spells them."""
    found = set()
    for item in GROUPS[group]:
        if isinstance(item, dict):
            found |= names_in(item["include-group"])
        else:
            found.add(spelled(item))
    return found


def spelled(requirement: str) -> str:
    name = re.split(r"[\[<>=;, ]", requirement, maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()


def test_setup_installs_every_extra_and_every_group(install: ModuleType) -> None:
    assert set(install.EXTRAS.split(",")) == set(PROJECT["optional-dependencies"])
    assert names_in(install.GROUP) == set().union(*map(names_in, GROUPS))


def test_torch_is_installed_in_the_versions_of_the_project(install: ModuleType) -> None:
    assert set(install.TORCH) <= set(PROJECT["dependencies"])


def test_everything_that_setup_installs_has_a_tested_version(install: ModuleType) -> None:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    tested = {spelled(line) for line in lines if "==" in line}
    extras = PROJECT["optional-dependencies"].values()
    wanted = {spelled(item) for items in (PROJECT["dependencies"], *extras) for item in items}
    # `pip freeze` leaves setuptools out on Python 3.11, which puts one into each environment.
    assert wanted | names_in(install.GROUP) - {"setuptools"} <= tested


def test_a_change_of_what_is_installed_is_seen(
    install: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = install.fingerprint()
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((REPOSITORY / name).read_bytes())
    monkeypatch.setattr(install, "ROOT", tmp_path)
    assert install.fingerprint() == before
    with (tmp_path / "constraints.txt").open("a") as file:
        file.write("another==1\n")
    assert install.fingerprint() != before
