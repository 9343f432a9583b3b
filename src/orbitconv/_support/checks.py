"""Argument checks shared by the whole library, with uniform messages."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Size2 = int | tuple[int, int]


def check_positive(owner: str, **values: int) -> None:
    """Refuse named counts and sizes that are not integers of one or more.

    `owner` is who refuses, as the user knows it.
    """
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"{owner} expects {name} to be an integer, got {value!r} ({type(value).__name__}).")
        if value < 1:
            raise ValueError(f"{owner} expects {name} >= 1, got {value}.")


def check_seed(owner: str, seed: int) -> None:
    """Refuse seeds outside the range of torch's generators."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"{owner} expects seed to be an integer, got {seed!r} ({type(seed).__name__}).")
    if not 0 <= seed < 2**63:
        raise ValueError(f"{owner} expects seed >= 0 and below 2^63, got {seed}.")


def check_sizes(owner: str, kernel_sizes: Sequence[int]) -> None:
    """Refuse an empty list of kernel sizes, and sizes that are not integers of one or more."""
    if not kernel_sizes:
        raise ValueError(f"{owner} expects one kernel size or more, got none.")
    check_positive(owner, **{f"kernel_sizes[{i}]": size for i, size in enumerate(kernel_sizes)})


def check_network(owner: str, network: Any) -> None:
    """Refuse what is no network, and say where it is in what `fit` returns."""
    if not isinstance(network, nn.Module):
        hint = " Pass its .network." if isinstance(getattr(network, "network", None), nn.Module) else ""
        raise TypeError(f"{owner} expects a network (torch.nn.Module), got {type(network).__name__}.{hint}")


def as_pair(owner: str, name: str, value: Size2) -> tuple[int, int]:
    """Return `value` as (height, width), each one or more."""
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{owner} expects {name} as one integer or a pair (height, width), got {value!r}.")
    check_positive(owner, **{f"{name}[0]": pair[0], f"{name}[1]": pair[1]})
    return int(pair[0]), int(pair[1])


def check_share(owner: str, **values: float) -> None:
    """Refuse shares and probabilities that are not numbers between 0 and 1."""
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float | np.number):
            raise TypeError(f"{owner} expects {name} to be a number, got {value!r} ({type(value).__name__}).")
        if not 0 <= value <= 1:
            raise ValueError(f"{owner} expects {name} between 0 and 1, got {value}.")


def check_finite(owner: str, name: str, values: Tensor) -> None:
    """Refuse tensors that hold NaN or infinity, and say how many values do."""
    bad = int((~torch.isfinite(values)).sum())
    if bad:
        raise ValueError(
            f"{owner} expects finite {name}, got {bad} NaN or infinite values among {values.numel()}. "
            "Remove or repair these images first."
        )


def did_you_mean(name: str, known: Iterable[str], most: int = 1, prefix: str = "") -> str:
    """The suggestion that an error about an unknown name adds; case does not count, nor `_` in place of `-`."""
    alike = {one.lower().replace("_", "-"): one for one in known}
    near = difflib.get_close_matches(name.lower().replace("_", "-"), alike, n=most, cutoff=0.5)
    return f" Did you mean {' or '.join(repr(prefix + alike[one]) for one in near)}?" if near else ""
