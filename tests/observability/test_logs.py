import logging
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from io import StringIO
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability import context
from observability.logs import set_up_logging
from observability.options import Observing
from observability.redaction import REDACTED, Redaction
from tests.support.observing import LoggedLines, logged

log = logging.getLogger("some.library")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def told() -> Iterator[LoggedLines]:
    with logged() as lines:
        yield lines


def test_a_line_of_any_library_is_one_of_json(told: LoggedLines) -> None:
    log.info("3 of %s", 5, extra={"photos": 7})
    (line,) = told.lines
    assert line["event"] == "3 of 5"
    assert (line["level"], line["logger"], line["photos"]) == ("info", "some.library", 7)
    assert line["process"] == "test"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"])


@given(st.text())
def test_whatever_is_logged_stays_one_line(text: str) -> None:
    with logged() as told:
        log.warning("%s", text)
        log.warning("x", extra={"field": text})
        assert len(told.text.encode().split(b"\n")) == 3
        assert [line["level"] for line in told.lines] == ["warning", "warning"]


def test_a_traceback_has_no_values_of_variables(told: LoggedLines) -> None:
    def broken(planted: str) -> None:
        raise ValueError(f"after {len(planted)}")

    try:
        broken("hunter" * 2)
    except ValueError:
        log.exception("it broke")
    (line,) = told.lines
    assert "ValueError: after 12" in line["exception"]
    assert "in broken" in line["exception"]
    assert "hunterhunter" not in told.text


def test_lines_have_the_ids_of_their_context(told: LoggedLines) -> None:
    def in_request() -> None:
        context.bind_request("from-a-caller")
        context.bind_key(7)
        log.info("in the request")
        with ThreadPoolExecutor(1) as pool:
            pool.submit(copy_context().run, log.info, "in a thread of it").result()

    copy_context().run(in_request)
    job_id = uuid4()
    with context.of_job(job_id, "of-the-job", None):
        log.info("in the job")
    log.info("after it")
    ids = [
        {name: line.get(name) for name in ("request_id", "job_id", "key_id")} for line in told.lines
    ]
    of_request = {"request_id": "from-a-caller", "job_id": None, "key_id": 7}
    assert ids == [
        of_request,
        of_request,
        {"request_id": "of-the-job", "job_id": str(job_id), "key_id": None},
        {"request_id": None, "job_id": None, "key_id": None},
    ]


def test_a_thread_that_breaks_is_logged(told: LoggedLines) -> None:
    thread = threading.Thread(target=lambda: 1 // 0, name="counter")
    thread.start()
    thread.join()
    (line,) = told.lines
    assert line["event"] == "thread counter broke"
    assert "ZeroDivisionError" in line["exception"]


def test_secrets_are_in_no_line() -> None:
    key = "mk_" + "k" * 43
    planted = ["pass/word?1", key, "whsec_" + "A1b2" * 8, "t0ken.of.somebody"]
    observing = Observing(log_format="json", secrets=frozenset({"pass/word?1"}))
    with logged(observing) as told:
        log.error("%s", {"password": "pass/word?1"}, extra={"header": f"Bearer {planted[3]}"})
        log.error("redis://user:s3cret!@host:1/0 and %s and %s", key, planted[2])
        error = RuntimeError(f"postgresql://marketlens:s3cret!@db/x {key}")
        log.error("no connection", exc_info=error)
        text = told.text
    assert not [secret for secret in [*planted, "s3cret!"] if secret in text]
    assert "://user:[redacted]@host:1/0" in text
    assert "no connection" in text


@given(st.text(min_size=6), st.text(), st.text())
def test_a_configured_secret_is_replaced_wherever_it_stands(
    secret: str, before: str, after: str
) -> None:
    left = Redaction([secret])(before + secret + after)
    if secret not in REDACTED:
        # What is around it may make it again together with the mark, but not as it stood.
        assert REDACTED in left


def test_text_for_a_terminal_and_json_for_all_else() -> None:
    for form, stream, is_json in (
        ("auto", Terminal(), False),
        ("auto", StringIO(), True),
        ("json", Terminal(), True),
        ("text", StringIO(), False),
    ):
        with logged():
            set_up_logging("test", Observing(log_format=form), stream)  # type: ignore[arg-type]
            log.warning("as it is")
        assert stream.getvalue().startswith("{") is is_json
        assert "as it is" in stream.getvalue()
