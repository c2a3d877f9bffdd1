"""The manifest of an index generation."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime

from models.domain.errors import GenerationCorrupt
from models.index.plan import EXACT

FORMAT_VERSION = 2
METRIC = "inner_product"
INDEX_FILE = "index.faiss"
IDS_FILE = "ids.npy"
MANIFEST_FILE = "manifest.json"
ROWS_FILE = "vectors.f16"
"""Only with an approximate index: an exact one holds the vectors itself."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """A generation's identity, parameters and measurements.

    `encoder` and `fingerprint` name the encoder whose vectors it holds, `dimension` their length.
    `factory` is FAISS' factory string, `why` the reason for it. It has `rows` photos: those live
    after change number `last_change`. A search for ten reads `effort` lists and scores the best
    `candidates` of them again; both are 0 for an exhaustive index. `recall_at_10` is the recall of
    such searches against exact search, for `queries` photos of the index, each without itself;
    `p50_ms` and `p95_ms` are percentiles of their latency. `seed` drew the training rows and the
    queries. `bytes` is the size of the data files, `files` the SHA-256 (hex) of each by its name.
    `created_at` is ISO 8601.
    """

    format_version: int
    encoder: str
    fingerprint: str
    dimension: int
    metric: str
    factory: str
    why: str
    rows: int
    last_change: int
    effort: int
    candidates: int
    recall_at_10: float
    queries: int
    p50_ms: float
    p95_ms: float
    seed: int
    bytes: int
    created_at: str
    files: dict[str, str]

    @property
    def exact(self) -> bool:
        """Whether a search looks at every row, so that it misses nothing."""
        return self.factory == EXACT


def to_json(manifest: Manifest) -> bytes:
    """The bytes of the manifest's file; equal manifests give equal bytes."""
    return (json.dumps(asdict(manifest), indent=2) + "\n").encode()


def from_json(raw: bytes) -> Manifest:
    """Read a manifest file's bytes. Raises GenerationCorrupt unless `to_json` could write them."""
    try:
        values = json.loads(raw)
    except ValueError as error:
        raise GenerationCorrupt("The manifest is not JSON.") from error
    if not isinstance(values, dict):
        raise GenerationCorrupt("The manifest is not a JSON object.")
    if values.get("format_version") != FORMAT_VERSION:
        raise GenerationCorrupt(
            f"The manifest has format {values.get('format_version')!r}, not {FORMAT_VERSION}."
        )
    if (problem := _type_problem(values)) is None:
        manifest = Manifest(**values)
        if (problem := _range_problem(manifest)) is None:
            return manifest
    raise GenerationCorrupt(f"The manifest is damaged: {problem}.")


def _type_problem(values: Mapping[str, object]) -> str | None:
    """Which fields are missing, unexpected or of another type, if any."""
    types = {field.name: field.type for field in fields(Manifest)}
    if values.keys() != types.keys():
        return f"unexpected or missing fields {sorted(values.keys() ^ types.keys())}"
    for name, expected in types.items():
        if expected in {int, float, str} and type(values[name]) is not expected:
            return f"{name} is not of its type"
    return None


def _range_problem(manifest: Manifest) -> str | None:
    """Which field has a value that `to_json` can't have written, if any."""
    checks = {
        "dimension": manifest.dimension >= 1,
        "metric": manifest.metric == METRIC,
        "rows": manifest.rows >= 0,
        "last_change": manifest.last_change >= 0,
        "recall_at_10": 0 <= manifest.recall_at_10 <= 1,
        "effort": manifest.effort >= 0,
        "candidates": manifest.candidates >= 0,
        "queries": manifest.queries >= 0,
        "p50_ms": manifest.p50_ms >= 0,
        "p95_ms": manifest.p95_ms >= 0,
        "bytes": manifest.bytes >= 0,
        "created_at": _is_timestamp(manifest.created_at),
        "files": _are_hashes(manifest.files, manifest.factory),
    }
    return next((f"{name} is out of range" for name, good in checks.items() if not good), None)


def _is_timestamp(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _are_hashes(files: object, factory: str) -> bool:
    return (
        isinstance(files, dict)
        and files.keys() == data_files(factory)
        and all(isinstance(value, str) for value in files.values())
    )


def data_files(factory: str) -> set[str]:
    """The files of a generation beside its manifest."""
    return {INDEX_FILE, IDS_FILE} | (set() if factory == EXACT else {ROWS_FILE})
