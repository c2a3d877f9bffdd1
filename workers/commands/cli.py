"""`marketlens encoder`, `evaluate` and `train`: what a person does with encoders.

A door of its own: neither the relay nor a worker has any use for what these import.
"""

import typer

from workers.commands import encoder
from workers.commands.evaluate import evaluate
from workers.commands.train import train

app = typer.Typer()
app.add_typer(encoder.app, name="encoder")
app.command()(evaluate)
app.command()(train)
