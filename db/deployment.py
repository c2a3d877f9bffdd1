"""The identity of a deployment: random, made with its database, whatever URL that has."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from db.tables import Deployment


def deployment_id(session: Session) -> str:
    """The id of the deployment whose database this is: 32 hexadecimal digits."""
    return session.scalars(select(Deployment.id)).one().hex
