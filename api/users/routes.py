"""Users: export what is known of one, forget one."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path

from api.access.audit import AUDITED
from api.auth import require_scope
from api.deps import ResourcesDep
from api.openapi import KEY_REFUSED
from api.pagination import PageCursor, PageSize, next_cursor
from api.schemas import AS_TYPED
from api.users import service
from api.users.schemas import UserPage
from models.domain.limits import MAX_USER
from models.domain.types import Scope

router = APIRouter(
    prefix="/v1/users",
    tags=["users"],
    # Not `events`: who may tell of users need not read of them.
    dependencies=[Depends(require_scope(Scope.WRITE))],
    responses=KEY_REFUSED,
)

User = Annotated[
    str,
    Path(min_length=1, max_length=MAX_USER, description="Your pseudonym of a user."),
    AS_TYPED,
]


# A pseudonym may have slashes in it.
@router.get("/{user:path}")
def export(
    user: User, resources: ResourcesDep, cursor: PageCursor, limit: PageSize = 50
) -> UserPage:
    """What is known of a user: all events, newest first; none of one who is not known.

    Ids of events are kept as hashes only, so they are not told.
    """
    events = service.list_events(resources, user, limit, cursor)
    following = next_cursor([position for _, position in events], limit)
    return UserPage(
        items=[event for event, _ in events],
        next_cursor=following,
        jobs=[] if cursor else list(service.list_jobs(resources, user)),
    )


@router.delete("/{user:path}", status_code=HTTPStatus.NO_CONTENT, dependencies=[AUDITED])
def forget(user: User, resources: ResourcesDep) -> None:
    """Forget a user: every event, what it counted for, and what was asked for them.

    The next answer knows nothing of it. There is nothing to be undone.
    """
    service.forget(resources, user)
