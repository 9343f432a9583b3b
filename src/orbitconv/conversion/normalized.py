"""Outputs whose channels are normalized together: probabilities and their logarithms."""

from torch import Tensor

_TOLERANCE = 1e-3


def normalization(x: Tensor, axis: int) -> str | None:
    """Whether the channels of an output are "probabilities" or "logarithms of probabilities" at every place; else None.

    One channel, and values that are all the same, say nothing.
    """
    if x.shape[axis] < 2 or not x.numel() or bool((x == x.flatten()[0]).all()):
        return None
    x = x.double()
    found = {
        "probabilities": x.sum(axis) if bool((x >= 0).all()) else None,
        "logarithms of probabilities": x.logsumexp(axis).exp() if bool((x <= _TOLERANCE).all()) else None,
    }
    return next((what for what, size in found.items() if size is not None and _is_one(size)), None)


def _is_one(sizes: Tensor) -> bool:
    return bool((sizes - 1).abs().max() <= _TOLERANCE)
