"""Security headers: on every response, of every route, however it ends."""

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient
from httpx2 import Response

from api.middleware.security_headers import DOCS_PATHS
from tests.support.http import MakeClient

pytestmark = pytest.mark.parametrize("any_database", ["sqlite"], indirect=True)

EXPECTED = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
FILLED = {"sha256": "a" * 64, "generation_id": "1", "user": "somebody"}


def assert_protected(response: Response) -> None:
    where = f"{response.request.method} {response.request.url} {response.status_code}"
    for name, value in EXPECTED.items():
        assert response.headers.get_list(name) == [value], where
    assert "camera=()" in response.headers["permissions-policy"], where
    (policy,) = response.headers.get_list("content-security-policy")
    for rule in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert rule in policy, where
    scripts = re.search(r"script-src ([^;]*)", policy)
    assert scripts is not None
    assert "unsafe" not in scripts[1], where
    assert "http" not in policy, where


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Every method and path of the schema, ids filled in, and the pages beside it."""
    for path, operations in app.openapi()["paths"].items():
        filled = re.sub(r"{(\w+)(:path)?}", lambda found: FILLED.get(found[1], "no-id"), path)
        for method in operations:
            yield method.upper(), filled
    for path in ("/", *DOCS_PATHS, "/openapi.json", "/static/app.js", "/static/none", "/nothing"):
        yield "GET", path


def test_every_route_has_them(make_app: Callable[..., FastAPI]) -> None:
    app = make_app()
    with TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        asked = list(routes(app))
        assert len(asked) > 30
        for method, path in asked:
            assert_protected(client.request(method, path))
            # Not understood, not allowed, and not trusted.
            assert_protected(client.request(method, path, content=b"{", headers={"origin": "x"}))
        for method in ("OPTIONS", "HEAD", "TRACE"):
            assert_protected(client.request(method, "/v1/listings"))


def test_what_breaks_and_what_is_too_large_have_them(make_app: Callable[..., FastAPI]) -> None:
    app = make_app(max_upload_bytes=10)

    def break_down() -> None:
        raise RuntimeError("a defect")

    app.router.routes.insert(0, APIRoute("/broken", break_down))
    with TestClient(app, "http://127.0.0.1:8000", raise_server_exceptions=False) as client:
        broken = client.get("/broken")
        assert broken.status_code == 500
        assert broken.json()["code"] == "internal"
        assert_protected(broken)
        large = client.post("/v1/searches", content=b"x" * 200_000)
        assert large.status_code == 413
        assert_protected(large)
        elsewhere = client.get("/", headers={"host": "shop.example"})
        assert elsewhere.status_code == 403
        assert_protected(elsewhere)


@pytest.mark.parametrize("path", sorted(DOCS_PATHS))
def test_the_reference_may_run_its_own_script_only(client: TestClient, path: str) -> None:
    page = client.get(path)
    inline = re.findall(rb"<script>(.*?)</script>", page.content, re.DOTALL)
    assert len(inline) == 1
    digest = b64encode(sha256(inline[0]).digest()).decode()
    policy = page.headers["content-security-policy"]
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert "sha256-" not in client.get("/").headers["content-security-policy"]


def test_the_page_has_nothing_inline(client: TestClient) -> None:
    page = client.get("/").text
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", page)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)


def test_https_is_demanded_where_the_setting_says_so(make_client: MakeClient) -> None:
    name = "strict-transport-security"
    assert name not in make_client().get("/").headers
    for path in ("/", "/docs", "/v1/listings"):
        told = make_client(hsts_seconds=31_536_000).get(path)
        assert told.headers[name] == "max-age=31536000"
