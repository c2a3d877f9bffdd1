"""One rule of exit codes, for whatever ends a command."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

import marketlens
from command_line.lazy import LazyGroup, in_home
from models.domain.errors import ExitCode, Unavailable, sentence_of
from tests.support.example_commands import ERRORS, TABLE


class Examples(LazyGroup):
    table = TABLE


app = typer.Typer(cls=Examples)


@app.callback()
def examples() -> None:
    """Examples."""


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def test_all_is_done() -> None:
    done = run("nothing")
    assert (done.exit_code, done.output) == (ExitCode.DONE, "")


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("refused", ExitCode.NOT_DONE),
        ("busy", ExitCode.TRY_AGAIN),
        ("unreadable", ExitCode.NOT_DONE),
        ("damaged", ExitCode.NOT_DONE),
    ],
)
def test_what_can_not_be_done_is_one_line(how: str, code: ExitCode) -> None:
    ended = run("fail", how)
    assert ended.exit_code == code
    assert ended.stderr == f"marketlens: {ERRORS[how]}\n"
    assert ended.stdout == ""
    as_json = run("fail", how, "--json")
    assert as_json.exit_code == code
    assert as_json.stderr == ended.stderr
    assert as_json.stdout == json.dumps({"error": str(ERRORS[how])}) + "\n"


@pytest.mark.parametrize("words", [("fail", "wrong"), ("fail",), ("fail", "refused", "--nonsense")])
def test_wrong_options_are_not_done(words: tuple[str, ...]) -> None:
    ended = run(*words)
    assert (ended.exit_code, ended.stdout) == (ExitCode.NOT_DONE, "")
    assert ended.stderr
    (line,) = run(*words, "--json").stdout.splitlines()
    assert json.loads(line)["error"]


def test_an_interrupt_is_told_from_all_others() -> None:
    assert run("fail", "interrupted").exit_code == ExitCode.INTERRUPTED


def test_a_command_says_itself_that_something_is_left() -> None:
    ended = run("report", "whole", "--json")
    assert ended.exit_code == ExitCode.LOOK_AT_IT
    assert json.loads(ended.stdout) == {"status": "whole"}


def test_a_report_that_says_why_stays_the_last_line() -> None:
    ended = run("report", "failed", "--json")
    assert ended.exit_code == ExitCode.NOT_DONE
    assert json.loads(ended.stdout) == {"status": "failed"}
    assert ended.stderr == "marketlens: It failed.\n"


def test_a_missing_extra_is_named() -> None:
    ended = run("extra", "--json")
    assert ended.exit_code == ExitCode.NOT_DONE
    assert "`pip install '.[train]'` in a checkout" in ended.stderr
    assert "no_such_package" in json.loads(ended.stdout)["error"]


def test_a_defect_is_not_taken_for_work_that_was_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(marketlens, "app", app)
    monkeypatch.setattr("sys.argv", ["marketlens", "fail", "defect"])
    with pytest.raises(SystemExit) as ended:
        marketlens.main()
    assert ended.value.code == ExitCode.BROKEN
    assert "RuntimeError: a defect" in capsys.readouterr().err


def test_on_a_terminal_a_defect_is_one_line_that_names_its_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(marketlens, "app", app)
    monkeypatch.setattr("sys.argv", ["marketlens", "fail", "defect"])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with pytest.raises(SystemExit) as ended:
        marketlens.main()
    assert ended.value.code == ExitCode.BROKEN
    (line,) = capsys.readouterr().err.splitlines()
    (file,) = tmp_path.iterdir()
    assert line.startswith("marketlens: ")
    assert str(file) in line
    assert "RuntimeError: a defect" in file.read_text()
    monkeypatch.setenv("MARKETLENS_LOG_LEVEL", "debug")
    with pytest.raises(SystemExit):
        marketlens.main()
    assert "Traceback" in capsys.readouterr().err


def test_notes_are_part_of_the_line() -> None:
    error = Unavailable("The server is away.")
    error.add_note("At host:1,\nrefused.")
    assert sentence_of(error) == "The server is away. At host:1, refused."


@pytest.mark.parametrize("word", ["~/feed", "--out=~/feed"])
def test_a_tilde_that_the_shell_has_left_is_the_home_folder(
    monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert in_home(word) == word.replace("~", "/home/me")


@pytest.mark.parametrize("word", ["~x", "a~/b", "--out=a~", "-o~/b", "x=~/y"])
def test_other_tildes_stay(word: str) -> None:
    assert in_home(word) == word
