import json
from typing import Any

import pytest

from models.domain.errors import GenerationCorrupt
from models.index.manifest import Manifest, from_json, to_json

MANIFEST = Manifest(
    format_version=2,
    encoder="test",
    fingerprint="f" * 64,
    dimension=16,
    metric="inner_product",
    factory="PCA8,IVF4,SQ8",
    why="because",
    rows=3,
    last_change=9,
    effort=2,
    candidates=20,
    recall_at_10=1.0,
    queries=256,
    p50_ms=0.5,
    p95_ms=0.75,
    seed=0,
    bytes=400,
    created_at="2025-01-02T03:04:05+00:00",
    files={"index.faiss": "a" * 64, "ids.npy": "b" * 64, "vectors.f16": "c" * 64},
)


def test_comes_back_from_its_file_unchanged() -> None:
    assert from_json(to_json(MANIFEST)) == MANIFEST


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format_version", 1),
        ("rows", -1),
        ("rows", "3"),
        ("rows", True),
        ("dimension", 0),
        ("last_change", -1),
        ("metric", "l2"),
        ("recall_at_10", 1.1),
        ("recall_at_10", float("nan")),
        ("p50_ms", -1.0),
        ("p95_ms", -1.0),
        ("effort", -1),
        ("candidates", 1.5),
        ("queries", -1),
        ("factory", "SQfp16"),
        ("bytes", None),
        ("created_at", "yesterday"),
        ("files", {"index.faiss": "a" * 64}),
        ("files", {"index.faiss": "a" * 64, "ids.npy": "b" * 64, "../x": "c" * 64}),
        ("files", {"index.faiss": "a" * 64, "ids.npy": 5, "vectors.f16": "c" * 64}),
        ("files", ["index.faiss", "ids.npy"]),
    ],
)
def test_a_value_that_no_build_writes_is_refused(field: str, value: object) -> None:
    values = {**json.loads(to_json(MANIFEST)), field: value}
    with pytest.raises(GenerationCorrupt, match=r"format 1|damaged"):
        from_json(json.dumps(values).encode())


def test_a_missing_field_is_refused() -> None:
    values: dict[str, Any] = json.loads(to_json(MANIFEST))
    del values["factory"]
    with pytest.raises(GenerationCorrupt, match="factory"):
        from_json(json.dumps(values).encode())


def test_an_unknown_field_is_refused() -> None:
    values = {**json.loads(to_json(MANIFEST)), "colour": "red"}
    with pytest.raises(GenerationCorrupt, match="colour"):
        from_json(json.dumps(values).encode())


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff\xfe\x00", b"null", b'"x"', b"{}"])
def test_bytes_that_are_no_manifest_are_refused(raw: bytes) -> None:
    with pytest.raises(GenerationCorrupt):
        from_json(raw)
