"""Filters that are expanded once for several forward passes, while the weights stay as they are."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn


@runtime_checkable
class Layer(Protocol):
    """A layer that expands filters."""

    @property
    def coefficients(self) -> Tensor:
        """What trains."""
        ...

    @property
    def basis(self) -> nn.Module:
        """What filters are expanded in."""
        ...

    def filters(self) -> Tensor:
        """The expanded filters."""
        ...


@dataclass(eq=False)
class _Kept:
    """The filters of one layer inside a block.

    Args:
        start: The coefficients when filters were made, to compare them with at the end.
        made_of: Identity and version of every tensor that the filters were made of.
        expanded: The filters with the graph that leads to the coefficients; none where no gradient is wanted.
        leaf: The same numbers, cut off, where gradients of several backward passes add up.
    """

    start: Tensor
    made_of: tuple[tuple[int, int, int], ...] = ()
    expanded: Tensor | None = None
    leaf: Tensor | None = None

    @property
    def gradient(self) -> Tensor | None:
        """What waits to be taken back to the coefficients."""
        return None if self.leaf is None else self.leaf.grad


_KEPT: "WeakKeyDictionary[Layer, _Kept]" = WeakKeyDictionary()


@contextlib.contextmanager
def keep_filters(network: nn.Module) -> Iterator[None]:
    """Expand the filters of every layer once in this block, for as many forward and backward passes as it holds.

    For steps in which weights do not change: gradients that are summed over several batches, frozen layers, inference
    on many batches. Values and gradients are those without the block; coefficients get their gradients at its end, all
    at once, so the optimizer's step comes after it:

        with keep_filters(network):
            for images, labels in batches:
                loss(network(images), labels).backward()
        optimizer.step()

    Filters are never stale: weights that are edited in place, loaded or replaced are seen, and filters are made anew.
    Only gradients of first order reach the coefficients. Compiled networks and layers that recompute their filters go
    on as without it.

    Args:
        network: The network, or one layer.

    Yields:
        Nothing.

    Raises:
        RuntimeError: If weights change while gradients for them are waiting, or were changed through `.data`, which
            nothing can see before the end of the block.
    """
    # Layers of an outer block stay with it.
    layers = [m for m in network.modules() if isinstance(m, Layer) and isinstance(m, nn.Module) and m not in _KEPT]
    with torch.no_grad():
        for layer in layers:
            _KEPT[layer] = _Kept(layer.coefficients)
    try:
        yield
        for layer in layers:
            kept = _KEPT[layer]
            if kept.made_of == _versions(layer) and not torch.equal(kept.start, layer.coefficients):
                raise RuntimeError(
                    f"keep_filters expects weights to be edited in place or replaced, found coefficients of "
                    f"{type(layer).__name__} changed through .data: passes after that used older filters. Edit them "
                    "under torch.no_grad(), or after the block."
                )
        waiting = [(kept.expanded, kept.gradient) for kept in map(_KEPT.__getitem__, layers)]
        pairs = [(w, gradient) for w, gradient in waiting if w is not None and gradient is not None]
        if pairs:
            torch.autograd.backward([w for w, _ in pairs], [gradient for _, gradient in pairs])
    finally:
        for layer in layers:
            del _KEPT[layer]


def is_kept(layer: Layer) -> bool:
    """Whether a call is inside a block that keeps the filters of a layer.

    Args:
        layer: The layer.

    Returns:
        True inside such a block.
    """
    return layer in _KEPT


def kept_filters(layer: Layer, make: Callable[[], Float[Tensor, "og i ky kx"]]) -> Float[Tensor, "og i ky kx"]:
    """The filters of a layer: those kept in the block around this call, or new ones.

    Args:
        layer: The layer.
        make: Expands its filters.

    Returns:
        Weight for `conv2d`.
    """
    kept = None if torch.compiler.is_compiling() else _KEPT.get(layer)
    if kept is None or not isinstance(layer.coefficients, nn.Parameter):  # torch.func puts other tensors there
        return make()
    versions = _versions(layer)
    if kept.made_of != versions:
        if kept.gradient is not None:
            raise RuntimeError(
                f"keep_filters expects the weights of {type(layer).__name__} to stay as they are until the end of the "
                "block, for gradients are waiting for them. Take the optimizer's step after the block."
            )
        kept.made_of, kept.expanded, kept.leaf = versions, None, None
        kept.start = layer.coefficients.detach().clone()
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in _tensors(layer))
    if kept.leaf is None or (learns and kept.expanded is None):
        with torch.inference_mode(mode=False), torch.set_grad_enabled(learns):  # the next pass may be another kind
            made = make()
            kept.expanded, kept.leaf = (made if learns else None), made.detach().requires_grad_(learns)
    return kept.leaf if learns else kept.leaf.detach()


def _tensors(layer: Layer) -> Iterator[Tensor]:
    """What the filters of a layer are made of."""
    yield layer.coefficients
    yield from layer.basis.parameters()
    yield from layer.basis.buffers()


def _versions(layer: Layer) -> tuple[tuple[int, int, int], ...]:
    """What changes when one of them is edited in place, replaced or moved."""
    return tuple((id(t), t.data_ptr(), t._version) for t in _tensors(layer))  # noqa: SLF001, torch's only count of edits
