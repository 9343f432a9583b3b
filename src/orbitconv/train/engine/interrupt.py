"""Ctrl-C between two steps instead of in the middle of one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType


class StopRequest:
    """Whether a signal asked the training to stop."""

    made = False


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Record the first Ctrl-C or termination signal instead of acting on it; a second one acts at once.

    In threads other than the main one, which get no signals, none is noted.
    """
    request = StopRequest()
    with nullcontext() if threading.current_thread() is not threading.main_thread() else _noted(request):
        yield request
    if request.made:
        raise KeyboardInterrupt


@contextmanager
def _noted(request: StopRequest) -> Iterator[None]:
    """Signal handlers that record the first signal."""

    def note(_number: int, _frame: FrameType | None) -> None:
        if request.made:
            raise KeyboardInterrupt
        request.made = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
