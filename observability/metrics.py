"""Everything that is counted and measured, by name. docs/metrics.md is made from this.

The values of labels are few and known: routes as they are declared, kinds of jobs, codes of errors.
Never ids, addresses, words or anything else that callers choose.
"""

from collections.abc import Mapping
from typing import Final

from observability.instruments import Counter, Gauge, Histogram, Looked, LookedCount

_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_JOB_SECONDS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0, 600.0)
_TOGETHER: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

# The API.

REQUESTS: Final = Counter(
    "http_requests",
    "Requests that were answered. The route is as declared, `unmatched` where there is none.",
    ("route", "method", "status"),
)
REQUEST_SECONDS: Final = Histogram(
    "http_request_seconds",
    "Seconds from a request's head to the end of its answer, the time that it was held included"
    " (`Prefer: wait`).",
    ("route", "method"),
    buckets=_SECONDS,
)
IN_FLIGHT: Final = Gauge(
    "http_requests_in_flight", "Requests that are not answered yet.", mode="livesum"
)
PROBLEMS: Final = Counter(
    "problems",
    "Requests that were refused or failed, by the code of the answer; `overloaded` and"
    " `rate_limited` are those that were shed.",
    ("code",),
    known=[("overloaded",), ("rate_limited",), ("unavailable",), ("internal",)],
)
EVENTS: Final = Counter(
    "events",
    "Events of buyers that were sent: stored, duplicate or rejected.",
    ("outcome",),
    known=[("stored",), ("duplicate",), ("rejected",)],
)

# Jobs.

JOBS_ENDED: Final = Counter(
    "jobs_ended",
    "Attempts at jobs that ended: succeeded, failed, retried (to be done again after an error),"
    " handed_back (left to another worker) or lost (another attempt has the job).",
    ("type", "outcome"),
)
JOB_SECONDS: Final = Histogram(
    "job_seconds",
    "Seconds from the acceptance of a job that succeeded to its end.",
    ("type",),
    buckets=_JOB_SECONDS,
)
STAGE_SECONDS: Final = Histogram(
    "job_stage_seconds",
    "Seconds that a job that succeeded spent in each stage; `queue` is until its work began. Jobs"
    " that are done together share stages.",
    ("type", "stage"),
    buckets=_JOB_SECONDS,
)
SLOW_JOBS: Final = Counter(
    "slow_jobs",
    "Jobs that took longer than MARKETLENS_SLOW_JOB_SECONDS; each has a line in the log.",
    ("type",),
)
QUERIES_TOGETHER: Final = Histogram(
    "queries_together",
    "Queries that were answered together.",
    buckets=_TOGETHER,
)
EMBEDDED: Final = Counter(
    "photos_embedded", "Photos that were embedded, of listings or of queries.", ("purpose",)
)
EMBEDDED_TOGETHER: Final = Histogram(
    "photos_embedded_together",
    "Photos that went through the network together.",
    ("purpose",),
    buckets=_TOGETHER,
)

# What carries jobs.

PUBLISHED: Final = Counter("jobs_published", "Messages that led workers to jobs.", ("queue",))
REPUBLISHED: Final = Counter(
    "jobs_republished", "Jobs whose message may have been lost, and was sent again."
)
LEASES_EXPIRED: Final = Counter(
    "leases_expired", "Jobs that were taken from a worker that is dead or did not renew its lease."
)
BROKER_ERRORS: Final = Counter("broker_errors", "Calls of Redis that failed.")
DATABASE_ERRORS: Final = Counter(
    "database_errors",
    "Transactions that failed: unavailable (away, busy or too slow), refused or defect.",
    ("kind",),
    known=[("unavailable",), ("refused",), ("defect",)],
)
STORE_ERRORS: Final = Counter(
    "store_errors",
    "Calls of the photo store that failed: unavailable or refused.",
    ("kind",),
    known=[("unavailable",), ("refused",)],
)
DELIVERIES: Final = Counter(
    "webhook_deliveries",
    "Attempts at webhooks of saved searches: delivered, refused (another answer than 2xx) or"
    " unreachable.",
    ("outcome",),
    known=[("delivered",), ("refused",), ("unreachable",)],
)

# The index, as search workers have it.

INDEX_ROWS: Final = Gauge("index_rows", "Photos that a search finds, by the search worker.")
INDEX_FRESH: Final = Gauge("index_fresh_rows", "Of them, those that came after the generation.")
INDEX_REMOVED: Final = Gauge(
    "index_removed_rows", "Photos of the generation that are no longer shown."
)
INDEX_GENERATION: Final = Gauge("index_generation", "The generation that search workers serve.")

# Looked up by the API when it is asked; the same on each machine.

DATABASE_UP: Final = Looked("database_up", "Whether the database answers (1) or not (0).")
BROKER_UP: Final = Looked("broker_up", "Whether Redis answers (1) or not (0).")
QUEUE_JOBS: Final = Looked(
    "queue_jobs", "Jobs that have not ended: queued or running.", ("queue", "status")
)
QUEUE_OLDEST: Final = Looked(
    "queue_oldest_seconds", "Age of the oldest job that is queued; 0 if none is.", ("queue",)
)
QUEUE_WAIT: Final = Looked(
    "queue_wait_seconds",
    "Seconds in which the open jobs will have ended, at the rate of the last minute; absent while"
    " that is not known.",
    ("queue",),
)
QUEUE_UNSEEN: Final = Looked(
    "queue_unseen_seconds",
    "Seconds since a worker took something from a queue, at the least a probe; `relay` is the"
    " relay itself.",
    ("queue",),
)
GENERATION_AGE: Final = Looked(
    "generation_age_seconds", "Seconds since the live generation was built."
)
GENERATION_RECALL: Final = Looked(
    "generation_recall", "Recall@10 of the live generation, as measured when it was built."
)
GENERATION_ROWS: Final = Looked("generation_rows", "Photos in the live generation.")

# Looked up by who is asked, for each machine.

BUILD: Final = Looked("build_info", "1, with the release that answers.", ("version", "python"))
DISK_FREE: Final = Looked(
    "disk_free_bytes", "Free bytes of the disk that the data folder is on, for this user."
)
PROCESS_MEMORY: Final = Looked(
    "process_memory_bytes",
    "Memory of each process that this one sees, shared pages included.",
    ("process",),
)
PROCESS_CPU: Final = LookedCount(
    "process_cpu_seconds",
    "Seconds of a core that each process has used since its start.",
    ("process",),
)
PROCESS_FILES: Final = Looked(
    "process_open_files", "Files and connections that each process has open.", ("process",)
)
PROCESS_STARTED: Final = Looked(
    "process_start_time_seconds", "When each process was started, in Unix time.", ("process",)
)


def job_ended(job_type: str, outcome: str, stages_ms: Mapping[str, float]) -> None:
    """Count an attempt that ended, and the milliseconds of its stages; `total` is all of them."""
    JOBS_ENDED.count(job_type, outcome)
    for stage, taken_ms in stages_ms.items():
        if stage == "total":
            JOB_SECONDS.observe(taken_ms / 1e3, job_type)
        else:
            STAGE_SECONDS.observe(taken_ms / 1e3, job_type, stage)


def photos_embedded(purpose: str, together: int) -> None:
    """Count photos that went through the network together."""
    EMBEDDED.count(purpose, by=together)
    EMBEDDED_TOGETHER.observe(together, purpose)
