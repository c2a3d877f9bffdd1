"""Periods of time as options state them, such as `90d`."""

import re
from datetime import timedelta
from typing import Final

import typer

UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST: Final = timedelta(days=36_500)

_PERIOD: Final = re.compile(r"(\d{1,7})\s*([mhdw])", re.ASCII | re.IGNORECASE)


def parsed_period(text: str | timedelta) -> timedelta:
    """The period that a text such as `30m`, `24h`, `90d` or `2w` states; `0` is none at all.

    An option's default is a period already. Raises typer.BadParameter.
    """
    if isinstance(text, timedelta):
        return text
    stated = text.strip()
    if stated == "0":
        return timedelta(0)
    found = _PERIOD.fullmatch(stated)
    if found is None:
        raise typer.BadParameter(
            f"{text!r} is no period: write a number and m, h, d or w (minutes, hours, days, weeks),"
            " such as 90d."
        )
    period = timedelta(**{UNITS[found[2].lower()]: int(found[1])})
    if period > LONGEST:
        raise typer.BadParameter(f"{text!r} is longer than a hundred years.")
    return period


def period_option(what: str) -> typer.models.OptionInfo:
    """An option whose value is a period, with the help text `what`."""
    # typer.Option is untyped, so that it can be the default of every parameter.
    option: typer.models.OptionInfo = typer.Option(
        parser=parsed_period, metavar="PERIOD", help=what, show_default=False
    )
    return option
