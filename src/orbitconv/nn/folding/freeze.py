"""A network for inference on a CPU: folded, and group convolutions packed once for the fused product."""

from typing import Any

from torch import nn

from orbitconv.bases import FixedBasis
from orbitconv.nn.folding.finish import finish_convolutions
from orbitconv.nn.folding.marked import fold_marked
from orbitconv.nn.folding.packed import PackedConv2d
from orbitconv.nn.folding.parts import Whole
from orbitconv.nn.folding.rules import RULES
from orbitconv.nn.pooling import BlurPool2d, GroupBlurPool2d, GroupMaxPool2d
from orbitconv.nn.products.kernel import layer as fused_layer
from orbitconv.nn.upsampling import upsample_to


def freeze(network: nn.Module) -> nn.Module:
    """The same network for inference on a CPU: filters expanded and packed once, batch norm merged, dropout gone.

    What `orbitconv.nn.fold` returns, but group convolutions take the fused product where it was built (`orbitconv
    build-kernel`) and is expected to be faster than the dense one; residual sums and rectifiers that follow are a part
    of it. Pools, blurs and upsampling by two take the compiled functions too. Where it was not, as on other devices,
    in other dtypes, and compiled or exported, the result computes what the folded network computes. It gives no
    gradients. The network is left as it is.

    Args:
        network: Any module that is built on layers of this library.

    Returns:
        The network, in eval mode.

    Raises:
        TypeError: If `fold` has no rule for a layer.
        ValueError: If `fold` cannot follow a forward.

    Example:
        >>> import torch
        >>> from orbitconv import Cyclic, ExactBasis
        >>> from orbitconv.models import SmallCNN
        >>> network = SmallCNN(ExactBasis(Cyclic(4), 3), width=2).eval()
        >>> x = torch.randn(1, 1, 16, 16)
        >>> torch.allclose(freeze(network)(x), network(x), atol=1e-6)
        True
    """
    kept = dict.fromkeys((GroupMaxPool2d, GroupBlurPool2d, BlurPool2d), Whole)
    folded, bases = fold_marked(network, {**RULES, **kept}, {upsample_to: None})
    for name, basis in bases.items():
        if (packed := _packed(folded.get_submodule(name), basis)) is not None:
            folded.set_submodule(name, packed)
    finish_convolutions(folded)
    return folded.requires_grad_(False)


def _packed(plain: Any, basis: FixedBasis) -> nn.Module | None:
    """The convolution with the fused product beside it, if it is one that this product takes."""
    is_taken = plain.groups == 1 and plain.dilation == (1, 1) and plain.stride in {(1, 1), (2, 2)}
    has_zeros = plain.padding_mode == "zeros" and not isinstance(plain.padding, str)
    if not is_taken or not has_zeros or max(plain.padding) >= min(plain.kernel_size):
        return None
    return None if fused_layer.structure(basis) is None else PackedConv2d(plain, basis)
