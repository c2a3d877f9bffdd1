"""The settings. Read only where a process starts; everything else takes values."""

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from unicodedata import category
from urllib.parse import quote, unquote, urlsplit

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from models.domain.errors import SetupError
from models.domain.searches.options import RankDefaults, RankWeights
from models.text.languages import TextLanguage
from observability.options import LogFormat, Observing

log = logging.getLogger(__name__)

PREFIX: Final = "MARKETLENS_"
ENV_FILE: Final = ".env"

NOT_OURS: Final = ("MARKETLENS_TEST_", "MARKETLENS_SERVICE_", "MARKETLENS_PORT_")
"""How variables begin that set up the tests, or that Kubernetes makes for a Service `marketlens`.

It also makes `MARKETLENS_PORT=tcp://10.0.0.1:8000`.
"""

RATE: Final = "^(off|[1-9][0-9]{0,8}/(second|minute|hour))$"
"""How a rate is stated."""

UNUSABLE: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of characters that no folder's name may have: control characters, line separators and
surrogates."""

NOT_SHOWN: Final = frozenset(
    {
        *("database_url", "redis_url", "store_url", "index_url", "traces_url"),
        *("geocoder_url", "geocoder_key"),
    }
)
"""Settings whose values may hold passwords: no message shows them."""

# A Unix socket's path has at most 107 bytes on Linux and 103 on macOS.
MAX_SOCKET_PATH = 100


class Settings(BaseSettings):
    """Everything that can be configured, from `MARKETLENS_*` variables or a `.env` file.

    Making it raises SetupError for values that can't be used.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
    )

    data_dir: Path = Field(
        default=Path("var"),
        description="Holds the embedded database, photos, weights, generations and logs.",
    )
    database_url: str | None = Field(
        default=None,
        description="`postgresql://…` (or `postgres://…`) or `sqlite:////…`; a SQLite file in the"
        " data folder by default.",
    )
    redis_url: str | None = Field(
        default=None,
        description="Broker: `redis://…`, `rediss://…` or `unix:///…`; a private Redis in the data"
        " folder by default.",
    )
    store_url: str | None = Field(
        default=None,
        description="Photo store: a folder, `s3://…` or any other fsspec URL; a folder in the data"
        " folder by default.",
    )
    encoder: Literal["auto", "resnet50", "efficientnet-lite", "hog"] = Field(
        default="auto",
        description="Which encoder embeds photos until one is migrated to: `auto` is ResNet-50 if"
        " its weights are given or can be downloaded, else EfficientNet-Lite, whose weights are"
        " installed; `hog` needs none.",
    )
    weights: Path | None = Field(
        default=None,
        description="Weights of ResNet-50 or EfficientNet-Lite (safetensors or a state dict); the"
        " published ones by default.",
    )
    auto_optimise: bool = Field(
        default=True,
        description="Whether by itself a network is exported for faster inference when it is first"
        " used, and searches change to its int8 network where that is faster and no worse, and to"
        " an adapted encoder where the catalogue's categories teach one that finds more; and match"
        " labels are calibrated.",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="Compute threads of one worker process; all cores by default.",
    )
    search_batch: int | None = Field(
        default=None,
        ge=1,
        le=32,
        description="Waiting searches embedded together; measured when a worker starts by default.",
    )
    host: str = Field(
        default="127.0.0.1",
        description="Address of this machine that the API binds to, also of IPv6; `0.0.0.0` and"
        " `::` are all.",
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="Port the API binds to; 0 is any free one."
    )
    hsts_seconds: int = Field(
        default=0,
        ge=0,
        le=63_072_000,
        description="For how long browsers are told to call this host by HTTPS only"
        " (`Strict-Transport-Security`), behind a proxy that has TLS; 0 says nothing.",
    )
    trusted_proxies: str = Field(
        default="",
        description="Addresses or networks of reverse proxies, separated by commas, whose"
        " `X-Forwarded-For` and `X-Forwarded-Proto` are believed; every call needs a key then. By"
        " default none is, and what a proxy forwards needs a key.",
    )
    max_upload_bytes: int = Field(
        default=20_000_000, ge=1, description="Largest photo accepted, in bytes."
    )
    max_batch_bytes: int = Field(
        default=200_000_000, ge=1, description="Largest bulk request accepted, in bytes."
    )
    rate_reads: str = Field(
        default="12000/minute",
        pattern=RATE,
        description="How often the keys of one name may read, as `600/minute`, `10/second` or"
        " `9000/hour`; `off` for no limit. Calls of this machine that need no key are not limited.",
    )
    rate_searches: str = Field(
        default="3000/minute",
        pattern=RATE,
        description="How many searches, recommendations, embeddings and predictions the keys of one"
        " name may ask for.",
    )
    rate_writes: str = Field(
        default="6000/minute",
        pattern=RATE,
        description="How often the keys of one name may write, a listing or a batch of events.",
    )
    rate_bulk: str = Field(
        default="60/minute",
        pattern=RATE,
        description="How many bulk requests the keys of one name may make.",
    )
    rate_address: str = Field(
        default="24000/minute",
        pattern=RATE,
        description="How many requests may come from one address (of IPv6 a /64) with keys, and as"
        " many again without a valid one.",
    )
    bulk_at_once: int = Field(
        default=4,
        ge=1,
        description="Bulk requests that one process of the API takes at once; more are refused"
        " (429).",
    )
    max_wait_seconds: int = Field(
        default=8,
        ge=1,
        description="Searches, embeddings and predictions that would wait longer are refused"
        " (429), until fewer wait.",
    )
    drain_seconds: float = Field(
        default=5,
        ge=0,
        le=300,
        description="For so long the API still answers after it was told to stop (SIGTERM), while"
        " `/readyz` already says no.",
    )
    events_kept_days: int = Field(
        default=180,
        ge=1,
        le=36_500,
        description="Days that events are kept from their time on; older ones are deleted, and not"
        " taken. What a user has hidden stays hidden as long as it is for sale.",
    )
    jobs_kept_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        description="Days that jobs are kept from their end on, with the photos that they ask about"
        " and their results.",
    )
    deleted_listings_kept_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        description="Days that deleted listings are kept, should they come back; then they are"
        " erased, with their photos.",
    )
    retired_encoders_kept_days: int = Field(
        default=30,
        ge=1,
        le=36_500,
        description="Days that the vectors and indexes of a retired encoder are kept.",
    )
    audit_kept_days: int = Field(
        default=365,
        ge=1,
        le=36_500,
        description="Days that it is kept who has changed what for everybody, and that something"
        " was erased.",
    )
    photo_seconds: int = Field(
        default=30,
        ge=1,
        description="How long a worker may decode or embed a photo; then it is started again, and"
        " does without the photo if that happens repeatedly.",
    )
    lease_seconds: int = Field(
        default=60,
        ge=1,
        description="How long a worker owns a job without renewing its claim; on this"
        " machine not longer than it lives.",
    )
    max_attempts: int = Field(
        default=5, ge=1, description="Claims of one job before it fails for good."
    )
    recall_target: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="A generation measured under this recall@10 is refused.",
    )
    keep_generations: int = Field(
        default=3, ge=1, description="Index generations kept on disk, the live one included."
    )
    index_memory_bytes: int | None = Field(
        default=None,
        ge=1,
        description="What the parts of an index that most searches read may take in memory; a "
        "quarter of the machine's by default.",
    )
    auto_reindex: bool = Field(
        default=True, description="Whether the index is rebuilt by itself when much has changed."
    )
    index_url: str | None = Field(
        default=None,
        description="A Milvus server that keeps the index for all search workers, such as"
        " `http://localhost:19530`; by default each keeps its own, with FAISS.",
    )
    currency: str = Field(
        default="GBP",
        pattern="^[A-Z]{3}$",
        description="ISO 4217 code of the currency that a feed's prices are in where they name"
        " none, and of `$`, `kr` and other symbols that several currencies share.",
    )
    photo_urls: Literal["off", "feeds", "all"] = Field(
        default="feeds",
        description="Whose photos at URLs are fetched, from public addresses only: those that a"
        " feed names, by `seed` and `clean` (`feeds`), also those that callers of the API name, by"
        " the embed worker (`all`), or none (`off`).",
    )
    photo_hosts: str = Field(
        default="",
        description="Hosts, separated by commas, that photos may be fetched from although their"
        " addresses are private.",
    )
    webhook_hosts: str = Field(
        default="",
        description="Hosts, separated by commas, that webhooks of saved searches may be at although"
        " their addresses are private; also over http.",
    )
    text_language: TextLanguage = Field(
        default="english",
        description="Language whose inflections a search for words finds, too: `lamps` for `lamp`;"
        " `none` for none. May be changed at any time.",
    )
    gazetteer: Literal["towns", "off"] = Field(
        default="towns",
        description="Whether feeds' places are located by GeoNames' list of towns (`towns`), before"
        " a geocoder is asked, or not (`off`).",
    )
    geocoder: str | None = Field(
        default=None,
        description="geopy's name of a service that locates feeds' places, such as `nominatim`.",
    )
    geocoder_url: str | None = Field(
        default=None, description="A geocoding server of one's own; the service's by default."
    )
    geocoder_key: SecretStr | None = Field(
        default=None, description="Credential of a geocoding service that wants one."
    )
    geocoder_user_agent: str = Field(
        default="marketlens", description="How a geocoding service is told who asks."
    )
    rank_weights: str = Field(
        default="",
        description="What results are ranked by beside look and words, such as"
        " `freshness=0.1,distance=0.1`: weights of the parts of a ranking that searches state none"
        " for. By default none is.",
    )
    exclude_seen: bool = Field(
        default=False,
        description="Whether what a user has viewed is left out of recommendations, rather than"
        " recommended later.",
    )
    rank_popularity: str | None = Field(
        default=None,
        description="The attribute that counts how popular a listing is, such as `views`.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="What the processes log, in any case."
    )
    log_format: LogFormat = Field(
        default="auto",
        description="How they log it: lines of `json` or `text`; `auto` is text on a terminal, else"
        " JSON.",
    )
    slow_job_seconds: float = Field(
        default=2.0,
        gt=0,
        description="Searches, embeddings, predictions and recommendations that took longer are"
        " explained in the log, as are embed jobs that took longer for each of their photos.",
    )
    metrics: bool = Field(
        default=True,
        description="Whether the processes count what they do, for Prometheus: `/metrics`.",
    )
    traces_url: str | None = Field(
        default=None,
        description="An OpenTelemetry collector that traces of requests and their jobs are sent to"
        " over HTTP, such as `http://localhost:4318`; by default nothing is traced.",
    )

    if not TYPE_CHECKING:  # a signature of its own would hide the fields from type checkers

        def __init__(self, **given: object) -> None:
            """Read the environment and `.env`; what is given counts before them."""
            try:
                super().__init__(**given)
            except ValidationError as error:
                raise SetupError(_sentence(error)) from None
            except (SettingsError, UnicodeDecodeError, OSError) as error:
                raise SetupError(f"The file {ENV_FILE} can't be read: {error}.") from None
            for name in _variables():
                _warn_if_unknown(name)

    @field_validator("data_dir", "weights", mode="after")
    @classmethod
    def _in_home(cls, path: Path | None) -> Path | None:
        # Shells do this, but nobody does for a line of `.env`.
        return None if path is None else Path(os.path.expanduser(path))  # noqa: PTH111 - `Path.expanduser` raises for a folder `~x`

    @field_validator("store_url", "index_url", mode="after")
    @classmethod
    def _path_in_home(cls, place: str | None) -> str | None:
        is_path = place is not None and place.startswith("~/")
        return str(Path(place).expanduser()) if place and is_path else place

    @field_validator("data_dir", mode="after")
    @classmethod
    def _may_be_a_folder(cls, path: Path) -> Path:
        # It is part of lines of logs and of JSON. Bytes that are no UTF-8 are surrogates here.
        if not {category(letter) for letter in str(path)}.isdisjoint(UNUSABLE):
            raise ValueError("a folder's name must be text, without control characters")
        try:
            there = next(part for part in (path, *path.absolute().parents) if part.exists())
        except OSError as error:
            raise ValueError(error.strerror) from error
        if not there.is_dir():
            raise ValueError(f"{there} is a file, and must be a folder")
        return path

    @field_validator("trusted_proxies", mode="after")
    @classmethod
    def _are_networks(cls, stated: str) -> str:
        for proxy in _listed(stated):
            try:
                ip_network(proxy)
            except ValueError as error:
                raise ValueError(f"{error}; it is such as 127.0.0.1 or 10.0.0.0/8") from None
        return stated

    @field_validator("rank_weights", mode="after")
    @classmethod
    def _are_weights(cls, weights: str) -> str:
        RankWeights.parse(weights)
        return weights

    @field_validator("log_level", mode="before")
    @classmethod
    def _in_any_case(cls, level: object) -> object:
        return level.strip().upper() if isinstance(level, str) else level

    @field_validator("host", mode="after")
    @classmethod
    def _without_brackets(cls, host: str) -> str:
        # They are for IPv6 addresses in URLs.
        return host.strip().removeprefix("[").removesuffix("]")

    @field_validator("port", mode="before")
    @classmethod
    def _not_of_kubernetes(cls, port: object) -> object:
        is_address = isinstance(port, str) and port.startswith("tcp://")
        return cls.model_fields["port"].default if is_address else port

    @property
    def rank_defaults(self) -> RankDefaults:
        """What searches are ranked by that do not say it."""
        return RankDefaults(RankWeights.parse(self.rank_weights), self.rank_popularity)

    @property
    def sqlalchemy_url(self) -> str:
        """The database to use, absolute when it is the embedded one."""
        # As SQLAlchemy reads it; not by it, as this is imported by what needs no database.
        file = quote(str((self.data_dir / "marketlens.db").resolve()))
        return self.database_url or f"sqlite:///{file}"

    @property
    def proxies(self) -> tuple[str, ...]:
        """The addresses and networks of reverse proxies that are trusted."""
        return _listed(self.trusted_proxies)

    @property
    def allowed_photo_hosts(self) -> tuple[str, ...]:
        """The hosts that photos may be fetched from although their addresses are private."""
        return _listed(self.photo_hosts)

    @property
    def photo_store_url(self) -> str:
        """The photo store to use: an fsspec URL, or the path of a folder."""
        return self.store_url or str((self.data_dir / "photos").resolve())

    @property
    def models_dir(self) -> Path:
        """Where downloaded weights are kept."""
        return self.data_dir / "models"

    @property
    def generations_dir(self) -> Path:
        """Where index generations are kept."""
        return self.data_dir / "generations"

    @property
    def columns_file(self) -> Path:
        """Where the columns of listings are kept, which search workers map."""
        return self.data_dir / "columns" / "listings.safetensors"

    @property
    def log_dir(self) -> Path:
        """Where the processes that `marketlens up` starts write their logs."""
        return self.data_dir / "log"

    @property
    def observing(self) -> Observing:
        """How the processes log, count and trace."""
        return Observing(
            log_level=self.log_level,
            log_format=self.log_format,
            metrics_dir=(self.data_dir / "run" / "metrics").resolve() if self.metrics else None,
            traces_url=self.traces_url,
            secrets=frozenset(self._secrets()),
        )

    def _secrets(self) -> Iterator[str]:
        """What no log may have: passwords of URLs, as written and as meant, and credentials."""
        for url in (
            self.database_url,
            self.redis_url,
            self.store_url,
            self.index_url,
            self.geocoder_url,
        ):
            with suppress(ValueError):
                if url and (password := urlsplit(url).password):
                    yield password
                    yield unquote(password)
        if self.geocoder_key is not None:
            yield self.geocoder_key.get_secret_value()

    @property
    def redis_socket(self) -> Path:
        """The private Redis' socket: beside the data, or in the temporary folder if too long."""
        path = (self.data_dir / "run" / "redis.sock").resolve()
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH:
            return path
        digest = sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"marketlens-{os.getuid()}-{digest}" / "redis.sock"

    @property
    def broker_url(self) -> str:
        """The broker to use."""
        return self.redis_url or f"redis+socket://{quote(str(self.redis_socket))}"


def _listed(stated: str) -> tuple[str, ...]:
    """What is separated by commas."""
    return tuple(part for part in map(str.strip, stated.split(",")) if part)


def _sentence(error: ValidationError) -> str:
    """What is wrong with which variable; values that may be secret are not in it."""
    wrong = []
    for item in error.errors(include_url=False, include_context=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        value = "" if name in NOT_SHOWN else f"={item['input']}"
        reason = item["msg"].removeprefix("Value error, ")
        wrong.append(f"{PREFIX}{name.upper()}{value} can't be used: {reason}.")
    return " ".join(wrong)


def _variables() -> Iterator[str]:
    """The names of variables that look like settings, in the environment and in `.env`."""
    for name in (*os.environ, *dotenv_values(ENV_FILE, interpolate=False)):
        if name.upper().startswith(PREFIX) and not name.upper().startswith(NOT_OURS):
            yield name


def unknown_variables() -> dict[str, str]:
    """Variables that look like settings and are none, with the setting that each is nearest to."""
    nearest = {name: _nearest_to(name) for name in _variables()}
    return {name: known for name, known in nearest.items() if known is not None}


def _nearest_to(variable: str) -> str | None:
    """The setting that a variable is most like, None if it is one."""
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    if variable.upper() in known:
        return None
    (nearest,) = get_close_matches(variable.upper(), known, n=1, cutoff=0.0) or known[:1]
    return nearest


@cache
def _warn_if_unknown(variable: str) -> None:
    if (nearest := _nearest_to(variable)) is not None:
        log.warning("%s is no setting, and has no effect; did you mean %s?", variable, nearest)
