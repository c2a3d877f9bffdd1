"""Starts admin jobs; reads and switches generations; summarises encoders; reads the audit log."""

from collections.abc import Sequence

from api.deps import Resources
from api.jobs.service import accept_and_publish
from db.access.audit_log import list_entries
from db.access.tables import AuditEntry
from db.tables import Generation, Job
from db.vectors.encoders import EncoderSummary, summarise_encoders
from db.vectors.generations import all_generations, switch_to
from models.domain.job_payloads import DuplicatesPayload, ReindexPayload


def accept_reindex(resources: Resources) -> Job:
    """Accept a rebuild of the index. Raises ReindexRunning."""
    return accept_and_publish(resources, ReindexPayload())


def accept_duplicates(resources: Resources) -> Job:
    """Accept a search of the whole catalogue for duplicates."""
    return accept_and_publish(resources, DuplicatesPayload())


def list_generations(resources: Resources, limit: int) -> Sequence[Generation]:
    """At most `limit` generations of the index, newest first."""
    with resources.database.read() as session:
        return all_generations(session, limit)


def activate_generation(resources: Resources, generation_id: int) -> Generation:
    """Serve from a kept generation. Raises NotFound or Conflict."""
    with resources.database.write() as session:
        return switch_to(session, generation_id, resources.now())


def list_encoders(resources: Resources) -> Sequence[EncoderSummary]:
    """The encoders, oldest first."""
    with resources.database.read() as session:
        return summarise_encoders(session)


def list_audit_entries(
    resources: Resources, limit: int, before: int | None
) -> Sequence[AuditEntry]:
    """At most `limit` entries of the audit log, newest first, with ids below `before`."""
    with resources.database.read() as session:
        return list_entries(session, limit, before=before)
