"""`marketlens encoder`, `index`, `evaluate`, `train` and `duplicates`: what a person computes.

A door of its own: neither the relay nor a worker has any use for what these import.
"""

import typer

from workers.commands import encoder, index
from workers.commands.duplicates import duplicates
from workers.commands.evaluate import evaluate
from workers.commands.train import train

app = typer.Typer()
app.add_typer(encoder.app, name="encoder")
app.add_typer(index.app, name="index")
app.command()(evaluate)
app.command()(train)
app.command()(duplicates)
