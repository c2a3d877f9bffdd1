"""The settings. Read only where a process starts; everything else takes values."""

import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

# A Unix socket's path has at most 107 bytes on Linux and 103 on macOS.
MAX_SOCKET_PATH = 100


class Settings(BaseSettings):
    """Everything that can be configured, from `MARKETLENS_*` variables or a `.env` file."""

    model_config = SettingsConfigDict(
        env_prefix="MARKETLENS_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        env_ignore_empty=True,
    )

    data_dir: Path = Field(
        default=Path("var"),
        description="Holds the embedded database, photos, weights, generations and logs.",
    )
    database_url: str | None = Field(
        default=None, description="SQLAlchemy URL; a SQLite file under the data folder by default."
    )
    redis_url: str | None = Field(
        default=None, description="Broker; a private Redis under the data folder by default."
    )
    store_url: str | None = Field(
        default=None, description="Photo store, any fsspec URL; a local folder by default."
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
        " an adapted encoder where the catalogue's categories teach one that finds more.",
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
    host: str = Field(default="127.0.0.1", description="Address the API binds to.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port the API binds to.")
    max_upload_bytes: int = Field(
        default=20_000_000, ge=1, description="Largest photo accepted, in bytes."
    )
    max_batch_bytes: int = Field(
        default=200_000_000, ge=1, description="Largest bulk request accepted, in bytes."
    )
    max_wait_seconds: int = Field(
        default=30,
        ge=1,
        description="Searches, embeddings and predictions that would wait longer are refused"
        " (429), until fewer wait.",
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
    photo_urls: Literal["off", "feeds"] = Field(
        default="feeds",
        description="Whether photos that a feed names by URL are fetched (`feeds`) by `seed` and"
        " `clean`, from public addresses only, or not (`off`).",
    )
    photo_hosts: str = Field(
        default="",
        description="Hosts, separated by commas, that photos may be fetched from although their"
        " addresses are private.",
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
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="What the processes log."
    )

    @property
    def sqlalchemy_url(self) -> str:
        """The database to use, absolute when it is the embedded one."""
        return self.database_url or f"sqlite:///{(self.data_dir / 'marketlens.db').resolve()}"

    @property
    def photo_store_url(self) -> str:
        """The photo store to use."""
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
    def log_dir(self) -> Path:
        """Where the processes that `marketlens up` starts write their logs."""
        return self.data_dir / "log"

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
        return self.redis_url or f"redis+socket://{self.redis_socket}"
