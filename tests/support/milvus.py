"""Milvus Lite for tests: the real server, in this process, on a free port."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from milvus_lite.adapter.grpc.server import start_server_in_thread


@contextmanager
def milvus_server(folder: Path, port: int = 0) -> Generator[str]:
    """Run a server that keeps its data in `folder`; gives its URL."""
    server, data, port = start_server_in_thread(str(folder), port=port)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(grace=0).wait()
        data.close()
