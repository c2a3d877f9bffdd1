"""The front door: every command, and the module that is imported when it is called."""

import sys
from typing import Final

import typer

from command_line.lazy import At, Group, LazyGroup, Table
from models.domain.errors import ExitCode

COMMANDS: Final[Table] = {
    "demo": At(
        "ops.cli:demo",
        "Draw a sample catalogue, start everything, search by a photo, and serve until Ctrl-C.",
    ),
    "up": At(
        "ops.cli:up", "Start a private Redis, the API, the workers and the relay, until Ctrl-C."
    ),
    "sample": At(
        "sample.cli:sample",
        "Draw a catalogue of made-up products with photos, as a feed to try things with.",
    ),
    "fetch": At(
        "etl.commands.fetch:fetch",
        "Copy a feed from wherever it is. Run again, it goes on, and fetches only what is new.",
    ),
    "clean": At(
        "etl.commands.clean:clean",
        "Clean a feed into a folder that `seed` takes in, here or on another machine.",
    ),
    "seed": At(
        "etl.commands.seed:seed",
        "Take in a marketplace's feed: clean it, store it, and queue its photos for embedding.",
    ),
    "categories": Group(
        "The integers of categories.",
        {
            "export": At(
                "etl.commands.categories:export",
                "Write the categories' integers as JSON: a dictionary both ways.",
            )
        },
    ),
    "reconcile": At(
        "workers.commands.reconcile:reconcile",
        "Compare database, photo store and index: what is missing, orphaned or stale.",
    ),
    "migrate": At(
        "db.cli:migrate",
        "Bring the database to this release's schema, creating it if need be.",
    ),
    "keys": Group(
        "Make and revoke API keys.",
        {
            "create": At("db.cli:create", "Make a key and print it. It is shown this once."),
            "revoke": At("db.cli:revoke", "Revoke every key of this name, at once."),
        },
    ),
    "health": At(
        "db.cli:health",
        "Exit with 0 if the database answers and the queue is being consumed: for health checks.",
    ),
    "api": At("api.cli:api", "Serve the HTTP API and the page until stopped."),
    "worker": At("workers.commands.worker:worker", "Do the jobs of one queue until stopped."),
    "relay": At(
        "workers.commands.relay:relay",
        "Publish accepted jobs that no worker got, until stopped.",
    ),
    "train": At(
        "workers.commands.train:train",
        "Train on listings' photos and categories. Killed and started again, it goes on.",
    ),
    "evaluate": At(
        "workers.commands.evaluate:evaluate",
        "Measure how well encoders find photos of a query's category, and its own listing.",
    ),
    "encoder": Group(
        "The encoders, and which one searches are made with.",
        {
            "register": At(
                "workers.commands.encoder.register:register",
                "Make an encoder known, and keep its files among the models. Nothing is embedded "
                "yet.",
            ),
            "list": At(
                "workers.commands.encoder.list:list_encoders",
                "Every encoder that is known or can be opened here, and how much it has embedded.",
            ),
            "activate": At(
                "workers.commands.encoder.switch:activate",
                "Search with an encoder that is up to date, from the next search on.",
            ),
            "rollback": At(
                "workers.commands.encoder.switch:rollback",
                "Search with the encoder that was active before: it has been kept up to date "
                "since.",
            ),
            "retire": At(
                "workers.commands.encoder.retire:retire",
                "Keep an encoder up to date no more, and remove its indexes. Its vectors stay.",
            ),
            "migrate": At(
                "workers.commands.encoder.migrate:migrate",
                "Change to another encoder while searches go on: embed, index, compare, then "
                "activate.",
            ),
            "export": At(
                "workers.commands.encoder.export:export",
                "Make a faster network of an encoder's, and compare the two; a worse one is "
                "refused.",
                extra="train",
            ),
        },
    ),
    "index": Group(
        "The generations of the index, and which one searches are made with.",
        {
            "build": At(
                "workers.commands.index.build:build",
                "Build the next generation and search with it, unless it finds too little.",
            ),
            "list": At(
                "workers.commands.index.list:list_generations",
                "Generations, newest first: how they were measured, and where their files are.",
            ),
            "show": At(
                "workers.commands.index.list:show",
                "All that is known of one generation, and why it is built as it is.",
            ),
            "evaluate": At(
                "workers.commands.index.evaluate:evaluate",
                "Measure what searches find now, with every change since the generation was built.",
            ),
            "activate": At(
                "workers.commands.index.switch:activate",
                "Search with a generation that is kept, from the next search on.",
            ),
            "rollback": At(
                "workers.commands.index.switch:rollback",
                "Search with the generation that was live before.",
            ),
            "prune": At(
                "workers.commands.index.prune:prune",
                "Remove old generations, and what killed builds left. What is in use goes the "
                "next time.",
            ),
            "plan": At(
                "workers.commands.index.plan:plan",
                "Tell which index a catalogue of some size would get, and why. Needs no database.",
            ),
        },
    ),
    "duplicates": At(
        "workers.commands.duplicates:duplicates",
        "Find listings that show the same photo, or the same thing, and whose they are.",
    ),
}


class FrontDoor(LazyGroup):
    """All commands, in the order in which they are met."""

    table = COMMANDS


app = typer.Typer(cls=FrontDoor, no_args_is_help=True, pretty_exceptions_show_locals=False)


@app.callback()
def front_door() -> None:
    """Find the listings whose photos look like a photo, and rank them for a buyer."""


def main() -> None:
    """Run the command line, and end as `ExitCode` says."""
    try:
        app()
    except Exception:  # noqa: BLE001 - a defect, which Python would end with 1: "done"
        sys.excepthook(*sys.exc_info())
        sys.exit(ExitCode.BROKEN)


if __name__ == "__main__":
    main()
