"""What is installed: its licences, and what is said of known vulnerabilities."""

import importlib.util
import json
import subprocess
import sys
from types import ModuleType

import pytest

from tests.support.paths import REPOSITORY

SCRIPTS = REPOSITORY / "scripts"


def script(name: str) -> ModuleType:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(SCRIPTS)
        spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return module


def test_the_list_of_licences_is_up_to_date() -> None:
    check = [sys.executable, str(SCRIPTS / "licences.py"), "--check"]
    done = subprocess.run(check, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_licence_lets_this_product_be_used_as_it_is() -> None:
    licences = script("licences")
    found = dict(licences.licences())
    assert len(found) > 100
    for package, licence in found.items():
        permits = licences.PERMISSIVE.search(licence) or licences.WEAK_COPYLEFT.search(licence)
        assert permits, f"{package}: {licence}"
    assert not licences.PERMISSIVE.search("GPL-3.0-only")
    assert not licences.WEAK_COPYLEFT.search("GNU General Public License v3 (GPLv3)")


@pytest.mark.parametrize(
    ("output", "sentence", "vulnerable"),
    [
        ("", "Not audited: no database of vulnerabilities can be read (no route to host).", False),
        (
            json.dumps({"dependencies": [{"name": "a", "skip_reason": "not found"}]}),
            "Not audited: the package index that is reached knows no vulnerabilities.",
            False,
        ),
        (
            json.dumps(
                {
                    "dependencies": [
                        {"name": "a", "version": "1", "vulns": []},
                        {"name": "b", "skip_reason": "not found"},
                    ]
                }
            ),
            "No known vulnerability: 1 packages audited, 1 unknown to the database.",
            False,
        ),
        (
            json.dumps(
                {
                    "dependencies": [
                        {
                            "name": "a",
                            "version": "1",
                            "vulns": [{"id": "PYSEC-1", "fix_versions": ["2"]}],
                        }
                    ]
                }
            ),
            "a 1: PYSEC-1, mended in 2",
            True,
        ),
    ],
)
def test_an_audit_never_takes_silence_for_safety(
    output: str, sentence: str, vulnerable: bool
) -> None:
    assert script("audit").verdict(output, "no route to host") == (sentence, vulnerable)
