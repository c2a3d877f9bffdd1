"""What is looked at of the machine itself: Python, disk, memory, port."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx2

from command_line.addresses import bound_port, url_at
from models.domain.errors import Conflict
from ops.doctor.findings import Finding, Verdict
from ops.redis_server import find_redis_server
from settings import Settings, unknown_variables

GIB: Final = 2**30
LEAST_DISK: Final = GIB // 4
"""Below this, indexes can't be built, and soon nothing can be stored."""
LITTLE_DISK: Final = 2 * GIB
LEAST_MEMORY: Final = GIB // 2
LITTLE_MEMORY: Final = 3 * GIB // 2
"""What the processes of one machine have together, with a small catalogue."""
ANSWERS_WITHIN_S: Final = 2.0

_MEMORY: Final = Path("/proc/meminfo")


def python(settings: Settings) -> Iterator[Finding]:
    """The interpreter."""
    del settings
    yield Finding(
        what="python",
        verdict=Verdict.OK,
        found=f"Python {platform.python_version()} in {sys.prefix}.",
    )


def variables(settings: Settings) -> Iterator[Finding]:
    """Variables that look like settings and are none."""
    del settings
    unknown = unknown_variables()
    for name, nearest in unknown.items():
        yield Finding(
            what="settings",
            verdict=Verdict.WARNING,
            found=f"{name} is no setting, and has no effect.",
            advice=f"Did you mean {nearest}?",
        )
    if not unknown:
        yield Finding(what="settings", verdict=Verdict.OK, found="All variables are known.")


def data_folder(settings: Settings) -> Iterator[Finding]:
    """Whether this user may write to the data folder, or make it."""
    folder = _first_that_exists(settings.data_dir.resolve())
    may = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    # Root may write everywhere, but not to file systems of the kernel or that are read-only.
    if may and not os.statvfs(folder).f_flag & os.ST_RDONLY and os.statvfs(folder).f_blocks:
        found = f"{settings.data_dir} can be written."
        yield Finding(what="data", verdict=Verdict.OK, found=found)
        return
    yield Finding(
        what="data",
        verdict=Verdict.PROBLEM,
        found=f"The data folder {settings.data_dir} can't be written by this user.",
        advice="Set MARKETLENS_DATA_DIR to another one.",
    )


def disk(settings: Settings) -> Iterator[Finding]:
    """The space that is left where the data folder is, or will be."""
    folder = _first_that_exists(settings.data_dir.resolve())
    if not os.statvfs(folder).f_blocks:
        return
    free = shutil.disk_usage(folder).free
    found = f"{_gib(free)} are free for {settings.data_dir}."
    if free >= LITTLE_DISK:
        yield Finding(what="disk", verdict=Verdict.OK, found=found)
        return
    yield Finding(
        what="disk",
        verdict=Verdict.WARNING if free >= LEAST_DISK else Verdict.PROBLEM,
        found=found,
        advice="A thousand photos and their index take about 100 MB: free some, or set "
        "MARKETLENS_DATA_DIR to another disk.",
    )


def memory(settings: Settings) -> Iterator[Finding]:
    """The memory that processes can still have; nothing where the system does not say."""
    del settings
    available = available_memory(_MEMORY)
    if available is None:
        return
    found = f"{_gib(available)} are available."
    if available >= LITTLE_MEMORY:
        yield Finding(what="memory", verdict=Verdict.OK, found=found)
        return
    yield Finding(
        what="memory",
        verdict=Verdict.WARNING if available >= LEAST_MEMORY else Verdict.PROBLEM,
        found=found,
        advice=f"API, workers and relay take about {_gib(LITTLE_MEMORY)} together: end other "
        "programs, or use a larger machine.",
    )


def port(settings: Settings) -> Iterator[Finding]:
    """Whether the API's port is free, or this API's."""
    try:
        bound_port(settings.host, settings.port)
    except Conflict as conflict:
        if _serves(settings):
            found = f"Marketlens answers at {url_at(settings.host, settings.port)}."
            yield Finding(what="port", verdict=Verdict.OK, found=found)
        else:
            yield Finding(
                what="port",
                verdict=Verdict.WARNING,
                found=str(conflict),
                advice="`marketlens up` takes the next one that is free.",
            )
        return
    yield Finding(
        what="port", verdict=Verdict.OK, found=f"Port {settings.port} of {settings.host} is free."
    )


def redis_server(settings: Settings) -> Iterator[Finding]:
    """The server that `marketlens up` starts where the settings name none."""
    if settings.redis_url is None:
        server = find_redis_server()
        yield Finding(what="redis", verdict=Verdict.OK, found=f"A private one: {server}.")


def available_memory(meminfo: Path) -> int | None:
    """The bytes that Linux says are available; None where it does not say."""
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 2**10
    return None


def _serves(settings: Settings) -> bool:
    url = f"{url_at(settings.host, settings.port)}/healthz"
    try:
        answer = httpx2.get(url, timeout=ANSWERS_WITHIN_S)
    except httpx2.HTTPError:
        return False
    return answer.status_code == httpx2.codes.OK


def _first_that_exists(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())


def _gib(size: int) -> str:
    return f"{size / GIB:,.1f} GiB"
