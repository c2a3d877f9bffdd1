"""The front door: one command, which opens each room's own door only when it is asked for."""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from models.domain.errors import MarketlensError, exit_code_of

# Which room's `cli` has which command. Rooms are imported on use: the API must not carry pandas,
# and nothing but a worker should wait for torch.
ROOM_OF = {
    "demo": "ops",
    "up": "ops",
    "sample": "sample",
    "fetch": "etl",
    "clean": "etl",
    "seed": "etl",
    "categories": "etl",
    "reconcile": "workers.commands",
    "migrate": "db",
    "keys": "db",
    "health": "db",
    "api": "api",
    "worker": "workers",
    "relay": "workers",
    "train": "workers.commands",
    "evaluate": "workers.commands",
    "encoder": "workers.commands",
    "index": "workers.commands",
    "duplicates": "workers.commands",
}


class FrontDoor(TyperGroup):
    """Finds a command in the room that has it."""

    def list_commands(self, ctx: Any) -> list[str]:
        """All commands, in the order in which they are met."""
        del ctx
        return list(ROOM_OF)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, from its room; None when there is none."""
        if cmd_name not in ROOM_OF:
            return None
        room = import_module(f"{ROOM_OF[cmd_name]}.cli")
        return typer.main.get_group(room.app).get_command(ctx, cmd_name)


app = typer.Typer(cls=FrontDoor, no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.callback()
def front_door() -> None:
    """Find the listings whose photos look like a photo, and rank them for a buyer."""


def main() -> None:
    """Run the command line; an expected error is one line, and exit code 1 or 75 (try again)."""
    try:
        app()
    except MarketlensError as error:
        sys.stderr.write(f"marketlens: {error}\n")
        sys.exit(exit_code_of(error))


if __name__ == "__main__":
    main()
