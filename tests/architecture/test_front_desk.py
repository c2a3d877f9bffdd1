"""The API must stay light: a process of its own proves what it imports."""

from tests.support.imports import HEAVY, modules_after


def test_importing_the_api_imports_nothing_heavy() -> None:
    assert not HEAVY & modules_after("import api.main, api.cli")


def test_the_front_door_imports_no_room_until_asked() -> None:
    loaded = modules_after("import marketlens")
    assert not HEAVY & loaded
    assert not {"api", "etl", "workers", "ops"} & loaded


def test_making_the_application_connects_to_nothing() -> None:
    statement = (
        "import socket, threading; socket.socket.connect = None; import api.main; "
        "api.main.create_app(); assert threading.active_count() == 1"
    )
    assert "api.main" in modules_after(statement)
