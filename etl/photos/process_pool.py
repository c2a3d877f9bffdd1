"""A process pool in which a task that kills its process does not affect other tasks.

Few imports: a process imports this module and the function's only.
"""

import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Generic, TypeVar

from models.domain.errors import MarketlensError, SetupError

Task = TypeVar("Task")
Result = TypeVar("Result")

AHEAD: Final = 32
"""Tasks queued in each process' pipe, so that neither a slow task nor a pause of this process
leaves processes idle."""

GRACE_S: Final = 5.0
"""A process ends after its current task, and is killed after this time."""

# A fork would copy the locks that other threads hold at that moment, never to be released.
_SPAWN: Final = get_context("spawn")


@dataclass(slots=True, eq=False, kw_only=True)
class Job(Generic[Task, Result]):
    """A task, and its result as soon as there is one."""

    task: Task
    result: Result | None = None


AnyJob = TypeVar("AnyJob", bound=Job[Any, Any])


def run_in_order(
    function: Callable[[Task], Result],
    jobs: Iterable[AnyJob],
    processes: int,
    *,
    when_killed: Result,
) -> Generator[tuple[AnyJob, Result]]:
    """Each job with the result of its task, in order; a job that already has a result is not run.

    `function`, tasks and results are pickled. A task during which its process dies gets
    `when_killed`. A MarketlensError of `function` is raised here; any other error ends its
    process. Processes start on demand, and end with this generator or, if this process is killed,
    after their current task. Raises SetupError when they can't be started.
    """
    waiting: deque[AnyJob] = deque()
    with closing(_Pool(function, processes, when_killed)) as pool:
        for job in jobs:
            waiting.append(job)
            if job.result is None:
                pool.submit(job)
            yield from _finished(waiting, pool.collect, at_most=processes * AHEAD)
        yield from _finished(waiting, pool.collect, at_most=0)


def _finished(
    waiting: deque[AnyJob], collect: Callable[[], None], at_most: int
) -> Iterator[tuple[AnyJob, Result]]:
    """Yield finished jobs from the front; wait while more than `at_most` are pending."""
    while waiting:
        if (result := waiting[0].result) is not None:
            yield waiting.popleft(), result
        elif len(waiting) > at_most:
            collect()
        else:
            return


class _Pool(Generic[Task, Result]):
    def __init__(self, function: Callable[[Task], Result], size: int, when_killed: Result) -> None:
        self._function = function
        self._size = size
        self._when_killed = when_killed
        self._workers: list[_Worker[Task, Result]] = []

    def submit(self, job: Job[Task, Result]) -> None:
        """Send the job to a new process if there may be more, else to the least busy one."""
        if len(self._workers) < self._size:
            worker = _Worker(self._function)
            self._workers.append(worker)
        else:
            worker = min(self._workers, key=lambda worker: len(worker.jobs))
        worker.send(job)

    def collect(self) -> None:
        """Wait for results, and receive all that are ready."""
        ready = wait([worker.connection for worker in self._workers])
        for worker in [worker for worker in self._workers if worker.connection in ready]:
            try:
                worker.receive()
            except (EOFError, ConnectionError):
                self._replace(worker)

    def close(self) -> None:
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.close()

    def _replace(self, worker: "_Worker[Task, Result]") -> None:
        self._workers.remove(worker)
        worker.close()
        if not worker.started:
            raise SetupError("The processes that work on the feed's photos can't be started.")
        if worker.jobs:
            # Answers come in order, so the oldest job without one is what the process was at.
            worker.jobs.popleft().result = self._when_killed
        for job in worker.jobs:
            self.submit(job)


class _Worker(Generic[Task, Result]):
    """A process, the parent's end of its pipe, and its pending jobs in order."""

    def __init__(self, function: Callable[[Task], Result]) -> None:
        self.connection, theirs = _SPAWN.Pipe()
        self.jobs: deque[Job[Task, Result]] = deque()
        self.started = False
        self._process = _SPAWN.Process(target=_serve, args=(function, theirs), daemon=True)
        self._process.start()
        # If it were open here as well, the end of the process would go unnoticed.
        theirs.close()

    def send(self, job: Job[Task, Result]) -> None:
        self.jobs.append(job)
        # If it has died, that is found when its answers are read.
        with suppress(ConnectionError):
            self.connection.send(job.task)

    def receive(self) -> None:
        """Receive all ready answers. Raises EOFError or ConnectionError when the process ends."""
        while self.connection.poll():
            answer = self.connection.recv()
            if not self.started:
                self.started = True
            elif isinstance(answer, MarketlensError):
                raise answer
            else:
                self.jobs.popleft().result = answer

    def close(self) -> None:
        """End the process, by closing its pipe."""
        self.connection.close()
        self._process.join(GRACE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def _serve(
    function: Callable[[Task], Result],
    connection: "Connection[Result | MarketlensError | None, Task]",
) -> None:
    """The process' main loop: report the start, then answer tasks until the pipe is closed."""
    # An interrupt from the keyboard reaches all processes; this one ends when its parent does.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(EOFError, ConnectionError):
        connection.send(None)
        while True:
            connection.send(_answer(function, connection.recv()))


def _answer(function: Callable[[Task], Result], task: Task) -> Result | MarketlensError:
    try:
        return function(task)
    except MarketlensError as error:
        return error
