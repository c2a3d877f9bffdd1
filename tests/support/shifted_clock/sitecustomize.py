"""Shifts the clock of a Python process that has this folder in its PYTHONPATH.

By `MARKETLENS_TEST_CLOCK_SHIFT_S` seconds. Python imports a module of this name before any other.
"""

import os
import time
from datetime import datetime, timedelta

from models.domain import clock

_SHIFT_S = float(os.environ["MARKETLENS_TEST_CLOCK_SHIFT_S"])
_true_time, _true_now = time.time, clock.utc_now


def _shifted_time() -> float:
    return _true_time() + _SHIFT_S


def _shifted_now() -> datetime:
    return _true_now() + timedelta(seconds=_SHIFT_S)


time.time = _shifted_time
clock.utc_now = _shifted_now
