"""A job's changes as they happen, until it has ended."""

from collections.abc import AsyncIterator
from typing import Final

from api.deps import Resources
from api.jobs.waiting import is_set_within
from db.tables import Job

PROGRESS_EVERY_S: Final = 1.0
"""How often progress is looked for; the end is told."""


async def job_changes(resources: Resources, job: Job) -> AsyncIterator[Job]:
    """The job as it is now, and again each time its status or its counts have changed.

    Ends with the job, or before it when this process is about to stop.
    """
    shown = None
    async with resources.ended_jobs.waiting_for(job.id) as told:
        while True:
            told.clear()
            job = await resources.ended_jobs.read(job.id)
            state = (job.status, job.done, job.failed, job.total)
            if state != shown:
                yield job
            if job.status.terminal or resources.ended_jobs.are_not_awaited:
                return
            shown = state
            await is_set_within(told, PROGRESS_EVERY_S)
