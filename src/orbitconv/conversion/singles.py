"""Parameters whose numbers a forward reads one by one: weights of branches, not of channels.

Both are vectors. Weights of channels meet the features as a whole, and are repeated over the group; weights of branches
are selected, summed or normalized before, and stay as they are.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from orbitconv.conversion.observation import Example, observe

aten = torch.ops.aten
_NORMALIZING = {aten._softmax, aten._log_softmax}  # noqa: SLF001


class _SinglesMode(TorchDispatchMode):
    """Follows parameters, and what is made of them alone, while it is the active mode."""

    def __init__(self, vectors: dict[str, nn.Parameter]) -> None:
        super().__init__()
        self.known: dict[int, tuple[Tensor, str, int]] = {
            id(values): (values, name, max(values.shape)) for name, values in vectors.items()
        }
        self.found: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        inputs = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
        if inputs and all(id(x) in self.known for x in inputs):
            _, name, length = self.known[id(inputs[0])]
            for y in (one for one in tree_leaves(output) if isinstance(one, Tensor)):
                if max(y.shape, default=1) < length or func.overloadpacket in _NORMALIZING:
                    self.found.add(name)
                self.known[id(y)] = y, name, length
        return output


def read_singly(model: nn.Module, example: Example) -> set[str]:
    """Names of the vectors that a forward reads one number at a time, of those that modules with others inside own."""
    owners = {path: module for path, module in model.named_modules() if next(module.children(), None) is not None}
    vectors = {
        f"{path}.{name}" if path else name: values
        for path, module in owners.items()
        for name, values in module.named_parameters(recurse=False)
        if max(values.shape, default=1) > 1
    }
    if not vectors:
        return set()
    mode = _SinglesMode(vectors)
    observe(model, example, lambda _: mode)
    return mode.found
