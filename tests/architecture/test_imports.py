"""Heavy modules are not imported by the API and the command line, checked in new processes."""

from tests.support.imports import HEAVY, modules_after


def test_importing_the_api_imports_nothing_heavy() -> None:
    assert not HEAVY & modules_after("import api.main, api.cli")


def test_the_entry_point_imports_no_command() -> None:
    loaded = modules_after("import marketlens")
    assert not HEAVY & loaded
    assert not {"api", "etl", "workers", "ops"} & loaded


def test_making_the_application_connects_to_nothing() -> None:
    statement = (
        "import socket, threading; socket.socket.connect = None; import api.main; "
        "api.main.create_app(); assert threading.active_count() == 1"
    )
    assert "api.main" in modules_after(statement)
