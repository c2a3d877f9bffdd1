"""What routes that create something depend on, in place of `ResourcesDep`."""

from collections.abc import AsyncIterator
from dataclasses import replace
from hashlib import sha256
from typing import Annotated, Final

from fastapi import Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import WithJsonSchema

from api.auth import bearer
from api.deps import Resources, resources_of
from api.idempotency.claims import answer_or_claim, held
from api.idempotency.fingerprint import fingerprint
from api.idempotency.keys import HEADER, MAX_KEY, PATTERN, parsed_key
from api.idempotency.replay import Replayed, replayed
from db.idempotency import Answer, KeyedRequest

_SCHEMA: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_KEY,
    "pattern": f"^({PATTERN})$",
}
_Key = Annotated[
    str | None,
    # Its syntax is checked here and not by FastAPI, which would answer 422.
    WithJsonSchema(_SCHEMA),
    Header(
        description="A name for this request that no other has, such as a UUID. A repeated request "
        "with the same key makes nothing again: for 24 hours it is answered by what the first has "
        "made."
    ),
]


async def _keyed_resources(
    request: Request, response: Response, idempotency_key: _Key = None
) -> AsyncIterator[Resources]:
    # What is not needed without a key is no dependency: each takes time of every request.
    resources = await resources_of(request)
    if idempotency_key is None:
        yield resources
        return
    key = parsed_key(request.headers.getlist(HEADER))
    keyed = KeyedRequest(_holder(await bearer(request)), key, await fingerprint(request))
    claim = await run_in_threadpool(answer_or_claim, resources, keyed)
    if isinstance(claim, Answer):
        raise Replayed(await replayed(request, response, resources, claim))
    async with held(resources, claim):
        yield replace(resources, claim=claim)


KeyedResources = Annotated[Resources, Depends(_keyed_resources, scope="function")]
"""The application's resources, with the claim of a request that has an `Idempotency-Key`.

What a route makes with them, it records in the same transaction by `Resources.record`. The key is
looked at after the dependencies of the route and its router, such as scopes.
"""


def _holder(credentials: HTTPAuthorizationCredentials | None) -> str:
    return "" if credentials is None else sha256(credentials.credentials.encode()).hexdigest()
