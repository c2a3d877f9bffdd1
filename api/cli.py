"""`marketlens api`."""

from typing import Annotated

import typer
import uvicorn

from api.auth import is_loopback
from api.main import create_app
from db.keys import count_keys
from db.session import Database
from models.domain.errors import SetupError
from settings import Settings

app = typer.Typer()


@app.command()
def api(
    host: Annotated[str | None, typer.Option(help="Address to bind to.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to bind to.")] = None,
) -> None:
    """Serve the HTTP API and the page until stopped."""
    settings = Settings()
    given = {"host": host or settings.host, "port": port or settings.port}
    settings = settings.model_copy(update=given)
    _refuse_open_door(settings)
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level.lower(),
        access_log=False,
        server_header=False,
    )


def _refuse_open_door(settings: Settings) -> None:
    if is_loopback(settings.host):
        return
    database = Database(settings.sqlalchemy_url)
    with database.read() as session:
        keys = count_keys(session)
    database.close()
    if not keys:
        raise SetupError(
            f"Without an API key only this machine may call: make one with "
            f"`marketlens keys create NAME --scope search` before binding to {settings.host}."
        )
