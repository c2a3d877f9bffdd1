"""What a process does first: it sets up how it logs, counts and traces."""

import logging

from observability import instruments, traces
from observability.logs import set_up_logging
from observability.options import Observing

log = logging.getLogger(__name__)


def observe(process: str, observing: Observing) -> None:
    """Log, count and trace as the process of this name, such as `search`.

    To be called before anything is counted, and again in each fork. Counts are kept in memory where
    their folder can't be written: nobody's search fails for that.
    """
    set_up_logging(process, observing)
    if observing.metrics_dir is None:
        instruments.end()
    else:
        try:
            instruments.begin(observing.metrics_dir, process)
        except OSError as error:
            log.warning("nothing is counted in %s: %s", observing.metrics_dir, error)
            instruments.end()
    traces.begin(process, observing.traces_url)
