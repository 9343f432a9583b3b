"""Filters that are expanded once for several forward passes, while the weights stay as they are."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.nn.products.recompute import no_autocast


@dataclass(eq=False)
class _Kept:
    """The filters of one layer inside a block.

    Args:
        sources: What the filters were made of, as it was: each tensor with its address, its version and its numbers.
        channels_last: Layout of the filters.
        expanded: The filters with the graph that leads to the coefficients; none where no gradient is wanted.
        leaf: The same numbers, cut off, where gradients of several backward passes add up.
        pairs: Every such pair since the block began, for gradients may still come to earlier ones.
    """

    sources: list[tuple[Tensor, int, int, Tensor]] = field(default_factory=list)
    channels_last: bool = False
    expanded: Tensor | None = None
    leaf: Tensor | None = None
    pairs: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def are_of(self, tensors: list[Tensor]) -> bool:
        """Whether the filters were made of these, and none was edited in place, replaced or moved since."""
        now = [(t.data_ptr(), t._version) for t in tensors]  # noqa: SLF001, torch's only count of edits
        return len(now) == len(self.sources) and all(
            t is source and versions == (address, version)
            for t, versions, (source, address, version, _) in zip(tensors, now, self.sources, strict=True)
        )

    def remember(self, tensors: list[Tensor]) -> None:
        """Forget the filters, and begin anew with what they are made of now."""
        self.expanded = self.leaf = None
        self.sources = [(t, t.data_ptr(), t._version, t.detach().clone()) for t in tensors]  # noqa: SLF001


_KEPT: "WeakKeyDictionary[nn.Module, _Kept]" = WeakKeyDictionary()


@contextlib.contextmanager
def keep_filters(network: nn.Module) -> Iterator[None]:
    """Expand the filters of every layer once in this block, for as many forward and backward passes as it holds.

    For steps in which weights do not change: gradients that are summed over several batches, frozen layers, inference
    on many batches. Values and gradients are those without the block; coefficients get their gradients at its end, all
    at once, so backward passes stand inside it and the optimizer's step after it:

        with keep_filters(network):
            for images, labels in batches:
                loss(network(images), labels).backward()
        optimizer.step()

    Filters are never stale: weights that are edited in place, loaded or replaced are seen, and filters are made anew.
    Only gradients of first order reach the coefficients. Compiled networks, layers that recompute their filters and
    weights that `torch.func` puts in place are not affected. Not for `DistributedDataParallel`, which expects
    gradients during the backward pass.

    Args:
        network: The network, or one layer.

    Yields:
        Nothing.

    Raises:
        RuntimeError: If weights change while gradients for them are waiting; if they were changed through `.data`,
            which nothing can see before the end of the block; or, in a backward pass after the block, since no gradient
            would reach the coefficients any more.
    """
    modules = [m for m in network.modules() if all(hasattr(m, name) for name in ("coefficients", "basis", "filters"))]
    layers = [layer for layer in modules if layer not in _KEPT]  # those of an outer block stay with it
    for layer in layers:
        _KEPT[layer] = _Kept()
    try:
        yield
        for layer in layers:
            _refuse_unseen_edits(layer)
        pairs = [pair for layer in layers for pair in _KEPT[layer].pairs]
        waiting = [(expanded, leaf.grad) for expanded, leaf in pairs if leaf.grad is not None]
        if waiting:
            with no_autocast(waiting[0][0]):
                torch.autograd.backward([w for w, _ in waiting], [gradient for _, gradient in waiting])
        for _, leaf in pairs:
            leaf.register_hook(_refuse_late_gradient)
    finally:
        for layer in layers:
            del _KEPT[layer]


def is_kept(layer: nn.Module) -> bool:
    """Whether a call is inside a block that keeps the filters of a layer."""
    return layer in _KEPT


def kept_filters(
    layer: nn.Module, make: Callable[[], Float[Tensor, "og i ky kx"]], *, channels_last: bool
) -> Float[Tensor, "og i ky kx"]:
    """The filters of a layer, as a weight for `conv2d`: those kept in the block around this call, or new ones."""
    kept = None if torch.compiler.is_compiling() else _KEPT.get(layer)
    if kept is None or not _can_be_kept(tensors := list(_tensors(layer))):
        return make()
    if not kept.are_of(tensors):
        if kept.leaf is not None and kept.leaf.grad is not None:
            raise RuntimeError(
                f"keep_filters expects the weights of {type(layer).__name__} to stay as they are until the end of the "
                "block, for gradients are waiting for them. Take the optimizer's step after the block."
            )
        with torch.inference_mode(mode=False):
            kept.remember(tensors)
    learns = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    if kept.leaf is None or kept.channels_last != channels_last or (learns and kept.expanded is None):
        # The next pass may be of another kind; a checkpoint around this one must not count what the expansion saves.
        hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t)
        with torch.inference_mode(mode=False), torch.set_grad_enabled(learns), hooks:
            made = make()
            kept.expanded, kept.leaf = (made if learns else None), made.detach().requires_grad_(learns)
        kept.channels_last = channels_last
        if learns:
            kept.pairs.append((made, kept.leaf))
    return kept.leaf if learns else kept.leaf.detach()


def _tensors(layer: Any) -> Iterator[Tensor]:
    """What the filters of a layer are made of."""
    yield layer.coefficients
    yield from layer.basis.parameters()
    yield from layer.basis.buffers()


def _can_be_kept(tensors: list[Tensor]) -> bool:
    """Not on meta, in place of parameters (as `torch.func` does), or made in inference mode, where no edit is seen."""
    first = tensors[0]
    return isinstance(first, nn.Parameter) and not any(t.is_meta or t.is_inference() for t in tensors)


def _refuse_unseen_edits(layer: nn.Module) -> None:
    """Say so if numbers changed behind torch's back."""
    kept = _KEPT[layer]
    if not kept.sources or not kept.are_of(list(_tensors(layer))):
        return
    for now, _, _, before in kept.sources:
        if not torch.equal(now.nan_to_num(), before.nan_to_num()):
            raise RuntimeError(
                "keep_filters expects weights to be edited in place or replaced, found those of "
                f"{type(layer).__name__} changed through .data: passes after that used older filters. Edit them under "
                "torch.no_grad(), or after the block."
            )


def _refuse_late_gradient(_: Tensor) -> None:
    raise RuntimeError(
        "keep_filters hands gradients to the coefficients at the end of its block, got a backward pass after it. Call "
        "backward() inside the block."
    )
