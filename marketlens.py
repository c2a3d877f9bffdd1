"""The command line's entry point: every command, and the function that it calls."""

import os
import platform
import sys
import traceback
from contextlib import suppress
from importlib.metadata import version
from tempfile import NamedTemporaryFile
from typing import Annotated, Final

import typer

from command_line.lazy import Audit, CommandRef, Group, LazyGroup, Table
from models.domain.errors import ExitCode, sentence_of

UMASK: Final = 0o077
"""What our processes make is their user's alone: see `db.store.private_files`."""

DISTRIBUTION: Final = "marketlens-search"

COMMANDS: Final[Table] = {
    "demo": CommandRef(
        "ops.cli:demo",
        "Draw a sample catalogue, start everything, search by a photo, and serve until Ctrl-C.",
    ),
    "up": CommandRef(
        "ops.cli:up", "Start a private Redis, the API, the workers and the relay, until Ctrl-C."
    ),
    "doctor": CommandRef(
        "ops.doctor.cli:doctor",
        "Look whether this machine has all that is needed, and say what to do where it has not.",
    ),
    "restart": CommandRef(
        "ops.cli:restart",
        "Migrate and restart what `up` has started, one process after the other: no call fails.",
    ),
    "sample": CommandRef(
        "sample.cli:sample",
        "Draw a catalogue of made-up products with photos, as a feed to try things with.",
    ),
    "fetch": CommandRef(
        "etl.commands.fetch:fetch",
        "Copy a feed from wherever it is. Run again, it goes on, and fetches only what is new.",
    ),
    "clean": CommandRef(
        "etl.commands.clean:clean",
        "Clean a feed into a folder that `seed` takes in, here or on another machine.",
    ),
    "seed": CommandRef(
        "etl.commands.seed:seed",
        "Take in a marketplace's feed: clean it, store it, and queue its photos for embedding.",
        audit=Audit(("feed", "prune", "force")),
    ),
    "events": Group(
        "What buyers do with listings.",
        {
            "import": CommandRef(
                "etl.commands.events:import_events",
                "Store the events of a file. Run again, it stores only those that are not stored "
                "yet.",
                audit=Audit(),
            )
        },
    ),
    "categories": Group(
        "The integers of categories.",
        {
            "export": CommandRef(
                "etl.commands.categories:export",
                "Write the categories' integers as JSON: a dictionary both ways.",
            )
        },
    ),
    "reconcile": CommandRef(
        "workers.commands.reconcile:reconcile",
        "Compare database, photo store and index: what is missing, orphaned or stale.",
        audit=Audit(("force",), only_with="repair"),
    ),
    "backup": Group(
        "Snapshots of everything that can't be made again, in a folder or an object store.",
        {
            "create": CommandRef(
                "ops.backup.cli:create",
                "Write a snapshot of database, photos, encoders and index, while everything runs.",
            ),
            "list": CommandRef(
                "ops.backup.cli:list_snapshots",
                "List the snapshots at a destination, the newest first.",
            ),
            "verify": CommandRef(
                "ops.backup.cli:verify",
                "Read every byte of the snapshots, and compare it with what was written.",
            ),
        },
        # `marketlens backup DESTINATION` writes one.
        default="create",
    ),
    "restore": CommandRef(
        "ops.backup.cli:restore",
        "Put a snapshot in place on an empty machine, after verifying all of it.",
        audit=Audit(("snapshot", "replace")),
    ),
    "migrate": CommandRef(
        "db.cli:migrate",
        "Bring the database to this release's schema, creating it if need be.",
        audit=Audit(),
    ),
    "keys": Group(
        "Make, list, rotate and revoke API keys.",
        {
            "create": CommandRef(
                "db.access.cli:create",
                "Make a key and print it. It is shown this once.",
                audit=Audit(("name", "scope", "expires")),
            ),
            "list": CommandRef(
                "db.access.cli:list_keys",
                "List the keys: what each may do, until when it is valid, when it was last used.",
            ),
            "rotate": CommandRef(
                "db.access.cli:rotate",
                "Make another key for a holder and print it. The earlier one stays valid for a "
                "while.",
                audit=Audit(("name", "overlap", "expires")),
            ),
            "revoke": CommandRef(
                "db.access.cli:revoke",
                "Revoke every key of this name, at once.",
                audit=Audit(("name",)),
            ),
        },
    ),
    "audit": CommandRef(
        "db.access.cli:audit",
        "Show who has changed what: admin calls and commands, newest first.",
    ),
    "health": CommandRef(
        "db.cli:health",
        "Exit with 0 if the database answers and the queue is being consumed: for health checks.",
    ),
    "api": CommandRef("api.cli:api", "Serve the HTTP API and the page until stopped."),
    "worker": CommandRef(
        "workers.commands.worker:worker", "Do the jobs of one queue until stopped."
    ),
    "relay": CommandRef(
        "workers.commands.relay:relay",
        "Publish accepted jobs that no worker got, send webhooks, and remove what has had its "
        "time.",
    ),
    "retention": CommandRef(
        "workers.commands.retention.now:retention",
        "Remove what has had its time, or say what would be. The relay does it all the time.",
        audit=Audit(("force", "vacuum")),
    ),
    "erase": Group(
        "Erase a listing or a user, with every trace.",
        {
            "listing": CommandRef(
                "workers.commands.retention.erase:listing",
                "Erase a listing: text, words, photos, vectors, events, and what names it.",
                audit=Audit(),
            ),
            "user": CommandRef(
                "workers.commands.retention.erase:user",
                "Erase a user: events, what they counted for, and what was asked for them.",
                audit=Audit(),
            ),
        },
    ),
    "metrics": CommandRef(
        "workers.commands.metrics:metrics",
        "Print what the processes of this machine have counted, or serve it where there is no API.",
    ),
    "train": CommandRef(
        "workers.commands.train:train",
        "Train on listings' photos and categories. A killed run goes on when it is started again.",
        audit=Audit(("mode", "level")),
    ),
    "evaluate": Group(
        "How well encoders find photos, and recommendations what users touch next.",
        {
            "encoders": CommandRef(
                "workers.commands.evaluate.encoders:evaluate",
                "Measure how well encoders find photos of a query's category, and its own listing.",
            ),
            "recommendations": CommandRef(
                "workers.commands.evaluate.recommendations:recommendations",
                "Measure what recommendations would have found of what users touched, beside "
                "baselines.",
            ),
        },
        # What the command was before it had others.
        default="encoders",
    ),
    "adapt": CommandRef(
        "workers.commands.adapt:adapt",
        "Learn from categories what makes photos alike, try it, and search with it: in seconds.",
        audit=Audit(("activate", "force")),
    ),
    "calibrate": CommandRef(
        "workers.commands.calibrate:calibrate",
        "Measure how sure results are, and label them: same item, very similar, related, none.",
        audit=Audit(("reference",)),
    ),
    "encoder": Group(
        "The encoders, and which one searches are made with.",
        {
            "register": CommandRef(
                "workers.commands.encoder.register:register",
                "Register an encoder, and keep its files in the models folder. Nothing is embedded "
                "yet.",
                audit=Audit(("reference",)),
            ),
            "list": CommandRef(
                "workers.commands.encoder.list:list_encoders",
                "Every encoder that is known or can be opened here, and how much it has embedded.",
            ),
            "activate": CommandRef(
                "workers.commands.encoder.switch:activate",
                "Search with an encoder that is up to date, from the next search on.",
                audit=Audit(("reference", "force")),
            ),
            "rollback": CommandRef(
                "workers.commands.encoder.switch:rollback",
                "Search with the encoder that was active before: it has been kept up to date "
                "since.",
                audit=Audit(("force",)),
            ),
            "retire": CommandRef(
                "workers.commands.encoder.retire:retire",
                "Stop keeping an encoder up to date, and remove its indexes. Its vectors stay for "
                "a time.",
                audit=Audit(("reference",)),
            ),
            "migrate": CommandRef(
                "workers.commands.encoder.migrate:migrate",
                "Change to another encoder while searches go on: embed, index, compare, then "
                "activate.",
                audit=Audit(("reference", "activate", "force")),
            ),
            "export": CommandRef(
                "workers.commands.encoder.export:export",
                "Export a faster network of an encoder, and compare the two; a worse one is "
                "refused.",
                audit=Audit(("reference", "precision", "force")),
            ),
        },
    ),
    "index": Group(
        "The generations of the index, and which one searches are made with.",
        {
            "build": CommandRef(
                "workers.commands.index.build:build",
                "Build the next generation and make it live, unless its recall is too low.",
                audit=Audit(("factory", "encoder")),
            ),
            "list": CommandRef(
                "workers.commands.index.list:list_generations",
                "List generations, newest first: their measurements, and where their files are.",
            ),
            "show": CommandRef(
                "workers.commands.index.list:show",
                "Show all that is known of one generation, and why its index was chosen.",
            ),
            "evaluate": CommandRef(
                "workers.commands.index.evaluate:evaluate",
                "Measure the recall of searches now, with every change since the generation was "
                "built.",
            ),
            "activate": CommandRef(
                "workers.commands.index.switch:activate",
                "Search with a generation that is kept, from the next search on.",
                audit=Audit(("generation_id",)),
            ),
            "rollback": CommandRef(
                "workers.commands.index.switch:rollback",
                "Search with the generation that was live before.",
                audit=Audit(("encoder",)),
            ),
            "prune": CommandRef(
                "workers.commands.index.prune:prune",
                "Remove old generations, and files of killed builds. What is in use is removed "
                "next time.",
                audit=Audit(("keep",)),
            ),
            "plan": CommandRef(
                "workers.commands.index.plan:plan",
                "Show which index a catalogue of some size would get, and why. Needs no database.",
            ),
        },
    ),
    "search": CommandRef(
        "workers.commands.search:search",
        "Find the listings that look like a photo, have some words, or both.",
    ),
    "similar": CommandRef(
        "workers.commands.search:similar", "Find the listings that look like a listing."
    ),
    "recommend": CommandRef(
        "workers.commands.recommend:recommend",
        "Show what would be recommended to a user, and why.",
    ),
    "rank": Group(
        "The weights of recommendations: learn them from what users chose, and which are in use.",
        {
            "train": CommandRef(
                "workers.commands.rank.train:train",
                "Learn the weights of recommendations from what users chose, and use them if they "
                "are better.",
                audit=Audit(("activate", "feed")),
            ),
            "list": CommandRef(
                "workers.commands.rank.list:list_rankers",
                "List the default weights and all learned ones, and which recommendations are made "
                "with.",
            ),
            "show": CommandRef(
                "workers.commands.rank.list:show",
                "Show weights beside the default ones, and what they were measured to be better "
                "by.",
            ),
            "activate": CommandRef(
                "workers.commands.rank.switch:activate",
                "Recommend with these learned weights, or with the default ones, from the next "
                "request on.",
                audit=Audit(("reference",)),
            ),
            "rollback": CommandRef(
                "workers.commands.rank.switch:rollback",
                "Recommend with the weights that were in use before.",
                audit=Audit(),
            ),
        },
    ),
    "duplicates": CommandRef(
        "workers.commands.duplicates:duplicates",
        "Find listings that show the same photo or the same item, and count their sellers.",
    ),
}


class RootGroup(LazyGroup):
    """All commands, in the order in which help lists them."""

    table = COMMANDS


app = typer.Typer(cls=RootGroup, no_args_is_help=True, pretty_exceptions_show_locals=False)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"marketlens {version(DISTRIBUTION)} (Python {platform.python_version()})")
        raise typer.Exit


@app.callback()
def root(
    *,
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Find the listings whose photos look like a photo, and rank them for a buyer."""
    del show_version


def main() -> None:
    """Run the command line, and end as `ExitCode` says."""
    os.umask(UMASK)
    try:
        app()
    except Exception as error:  # noqa: BLE001 - a defect; Python would exit with 1, which means "done"
        _report_defect(error)
        sys.exit(ExitCode.BROKEN)


def _report_defect(error: Exception) -> None:
    """Say what broke in one line: in a log below its traceback, on a terminal instead of it."""
    sentence = f"marketlens: This is a defect: {type(error).__name__}: {sentence_of(error)}"
    is_debugging = os.environ.get("MARKETLENS_LOG_LEVEL", "").upper() == "DEBUG"
    if sys.stderr.isatty() and not is_debugging:
        with (
            suppress(OSError),
            NamedTemporaryFile("w", prefix="marketlens-", suffix=".trace", delete=False) as file,
        ):
            traceback.print_exception(error, file=file)
            sys.stderr.write(f"{sentence} (traceback: {file.name})\n")
            return
    sys.excepthook(*sys.exc_info())
    sys.stderr.write(f"{sentence}\n")


if __name__ == "__main__":
    main()
