"""The collections of the index on a Milvus server, and their index types."""

from typing import Final

from pymilvus import DataType, MilvusClient

from models.domain.types import EncoderSpec

# With these FAISS' graphs found all ten nearest of 10,000 vectors of 2,048 numbers. Milvus
# scans segments that are too small for a graph.
HNSW: Final = {"index_type": "HNSW", "params": {"M": 32, "efConstruction": 200}}
# Lite is for small catalogues, and was no faster with a graph.
FLAT: Final = {"index_type": "FLAT", "params": {}}

# Milvus wants a vector in every collection, of at least two numbers.
NO_VECTOR: Final = (0.0, 0.0)


def collection_of(encoder: EncoderSpec) -> str:
    """The name of the collection that holds an encoder's vectors."""
    return f"marketlens_{encoder.fingerprint}"


def position_of(collection: str) -> str:
    """The name of the collection that holds another one's position."""
    return f"{collection}_position"


def ensure_collections(client: MilvusClient, collection: str, dimension: int) -> None:
    """Create missing collections and indexes, also after a crash in between; idempotent."""
    position = position_of(collection)
    if not client.has_collection(collection):
        # The position of a collection that was dropped would be wrong for the new one.
        if client.has_collection(position):
            client.drop_collection(position)
        _create(client, collection, dimension)
    if not client.has_collection(position):
        _create(client, position, len(NO_VECTOR), "change")
    lite = client.get_server_version().startswith("milvus_lite")
    for name, index in ((collection, FLAT if lite else HNSW), (position, FLAT)):
        if not client.list_indexes(name):
            indexes = client.prepare_index_params()
            indexes.add_index("vector", metric_type="IP", **index)
            # Nothing is in it yet, so there is no index to wait for.
            client.create_index(name, indexes, sync=False)


def _create(client: MilvusClient, name: str, dimension: int, *numbers: str) -> None:
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=dimension)
    for number in numbers:
        schema.add_field(number, DataType.INT64)
    client.create_collection(name, schema=schema, consistency_level="Strong")
