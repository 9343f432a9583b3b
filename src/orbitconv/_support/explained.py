"""Errors of torch for too little memory or a failed compiler, with what to change."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# How torch says so on a CPU: no memory is left, or no number is large enough to say how much it takes.
_TOO_LARGE = ("can't allocate memory", "Storage size calculation overflowed")


def is_lack_of_memory(error: RuntimeError) -> bool:
    """Whether an error of torch means out of memory."""
    told = str(error)
    return isinstance(error, torch.OutOfMemoryError) or any(words in told for words in _TOO_LARGE)


@contextmanager
def explained_memory(what: str, advice: str) -> Iterator[None]:
    """Turn out-of-memory errors into one that says what to lower."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError is one; a CPU has no kind of its own
        if not is_lack_of_memory(error):
            raise
        first = str(error).strip().splitlines()[0]
        raise MemoryError(f"The memory does not suffice for {what}: {first} {advice}") from error


@contextmanager
def explained_compiler() -> Iterator[None]:
    """Turn errors of torch.compile into one that says how to do without."""
    try:
        yield
    except RuntimeError as error:
        if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            raise
        first = str(error).strip().splitlines()[0]
        raise ValueError(f"torch.compile could not compile the network: {first} Train without compile.") from error
