import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing import active_children

import pytest

from etl.photos.process_pool import AHEAD, Job, run_in_order
from models.domain.errors import SetupError, Unavailable

KILLED = -1


def square(number: int) -> int:
    return number * number


def deadly_when_odd(number: int) -> int:
    if number % 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return square(number)


def failing(number: int) -> int:
    raise Unavailable(f"Not now, {number}.")


def forgetful(number: int) -> int:
    return {2: 4}[number]


class Unstartable:
    """A function that ends the process which unpickles it."""

    def __call__(self, number: int) -> int:
        return number

    def __reduce__(self) -> tuple[Callable[[int], object], tuple[int]]:
        return os._exit, (3,)


def run(function: Callable[[int], int], numbers: list[int], processes: int = 2) -> list[int]:
    jobs = [Job[int, int](task=number) for number in numbers]
    done = list(run_in_order(function, jobs, processes, when_killed=KILLED))
    assert [job for job, _ in done] == jobs
    assert not active_children()
    return [result for _, result in done]


@pytest.mark.parametrize("processes", [1, 3])
def test_results_come_in_the_order_of_their_tasks(processes: int) -> None:
    numbers = list(range(5 * AHEAD))
    assert run(square, numbers, processes) == [square(number) for number in numbers]


def test_a_task_that_kills_its_process_spoils_no_other() -> None:
    numbers = [0, 2, 3, 4, 6, 7, 9, 8]
    assert run(deadly_when_odd, numbers) == [0, 4, KILLED, 16, 36, KILLED, KILLED, 64]


def test_a_fault_of_the_function_counts_as_its_process_death(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert run(forgetful, [2, 3, 2]) == [4, KILLED, 4]
    assert "KeyError: 3" in capfd.readouterr().err


def test_an_error_of_ours_is_raised_here_and_ends_everything() -> None:
    with pytest.raises(Unavailable, match="Not now, 5"):
        run(failing, [5, 5])
    assert not active_children()


def test_processes_that_cannot_start_are_an_error_not_a_loop() -> None:
    with pytest.raises(SetupError, match="can't be started"):
        run(Unstartable(), [1, 2, 3])
    assert not active_children()


def test_a_job_with_a_result_keeps_it_and_starts_no_process() -> None:
    jobs = [Job[int, int](task=number, result=7) for number in range(3 * AHEAD)]
    done = run_in_order(failing, jobs, 2, when_killed=KILLED)
    assert next(done) == (jobs[0], 7)
    assert not active_children()
    assert [result for _, result in done] == [7] * (3 * AHEAD - 1)


def test_no_more_processes_are_started_than_there_are_tasks_for_them() -> None:
    done = run_in_order(square, [Job[int, int](task=3)], 8, when_killed=KILLED)
    assert [(result, len(active_children())) for _, result in done] == [(9, 1)]


def test_only_a_window_is_taken_ahead_however_many_have_their_result() -> None:
    taken = 0

    def jobs() -> Iterator[Job[int, int]]:
        nonlocal taken
        for number in range(100 * AHEAD):
            taken += 1
            yield Job(task=number, result=None if number == 0 else 1)

    done = run_in_order(square, jobs(), 2, when_killed=KILLED)
    next(done)
    assert taken <= 2 * AHEAD + 1
    done.close()


def test_closing_ends_the_processes() -> None:
    jobs = (Job[int, int](task=number) for number in range(100 * AHEAD))
    done = run_in_order(square, jobs, 2, when_killed=KILLED)
    next(done)
    assert active_children()
    done.close()
    assert not active_children()
