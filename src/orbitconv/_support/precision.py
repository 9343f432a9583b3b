"""Arithmetic in at least float32, without autocast."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def no_autocast() -> Iterator[None]:
    """Switch autocast off, on every kind of device where it is on."""
    with ExitStack() as stack:
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


def without_autocast(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that autocast does not change its results."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with no_autocast():
            return function(*args, **kwargs)

    return run


def at_least_float32(dtype: torch.dtype) -> torch.dtype:
    """The dtype to compute in: float32 for 16 bits, else the dtype itself."""
    return torch.promote_types(dtype, torch.float32)
