"""A network for inference on a CPU: folded, and group convolutions packed once for the fused product."""

import copy
import ctypes
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.bases import FixedBasis
from orbitconv.nn.folding.fold import fold
from orbitconv.nn.folding.rules import RULES
from orbitconv.nn.group_conv import GroupConv2d
from orbitconv.nn.products.dense import expand_group
from orbitconv.nn.products.kernel import fused
from orbitconv.nn.products.kernel import layer as fused_layer
from orbitconv.nn.products.kernel.library import is_built, library
from orbitconv.nn.products.kernel.structure import Structure
from orbitconv.nn.products.recompute import is_recorded
from orbitconv.nn.products.turning import turning_of

_EXACT = 1e-6
"""Largest relative difference of a filter from what its coefficients give."""


def freeze(network: nn.Module) -> nn.Module:
    """The same network for inference on a CPU: filters expanded and packed once, batch norm merged, dropout gone.

    What `orbitconv.nn.fold` returns, whose group convolutions take the fused product where it was built
    (`orbitconv build-kernel`) and is expected to be faster than the dense one. Where it was not, as on other devices,
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
    bases: dict[str, FixedBasis] = {}

    def marked(layer: GroupConv2d) -> nn.Module:
        plain = RULES[GroupConv2d](layer)
        if isinstance(layer.basis, FixedBasis) and layer.fourier == "auto":
            convolution: Any = next(m for m in plain.children() if isinstance(m, nn.Conv2d))
            convolution.basis_name = str(len(bases))
            bases[convolution.basis_name] = copy.deepcopy(layer.basis)
        return plain

    folded = fold(network, rules={GroupConv2d: marked})
    for name, module in list(folded.named_modules()):
        basis = bases.get(getattr(module, "basis_name", ""))
        if basis is not None and (packed := _packed(module, basis)) is not None:
            folded.set_submodule(name, packed)
    return folded.requires_grad_(False)


def _packed(plain: Any, basis: FixedBasis) -> nn.Module | None:
    """The convolution with the fused product beside it, if it is one that this product takes."""
    is_taken = plain.groups == 1 and plain.dilation == (1, 1) and plain.stride in {(1, 1), (2, 2)}
    has_zeros = plain.padding_mode == "zeros" and not isinstance(plain.padding, str)
    if not is_taken or not has_zeros or max(plain.padding) >= min(plain.kernel_size):
        return None
    return None if fused_layer.structure(basis) is None else PackedConv2d(plain, basis)


@torch.no_grad()
def _coefficients(weight: Float[Tensor, "og ih ky kx"], basis: FixedBasis) -> Float[Tensor, "o i m d"] | None:
    """The coefficients that filters, scaled by batch norm, are made of; None if there are none."""
    order, atoms = basis.group.order, basis(torch.float64)
    first = weight.double().unflatten(0, (-1, order)).unflatten(2, (-1, order))[:, 0]  # o i h ky kx
    solution = torch.linalg.lstsq(atoms[0].flatten(1).T, first.flatten(3).flatten(0, 2).T).solution
    coefficients = solution.T.reshape(*first.shape[:3], -1)
    error = expand_group(coefficients, atoms, turning_of(basis.group)) - weight
    return coefficients.float() if error.norm() <= _EXACT * weight.double().norm() else None


class PackedConv2d(nn.Module):
    """A plain convolution beside the fused product, for which its filters are packed at the first call.

    Args:
        plain: The convolution. Filters that are loaded or changed are packed anew.
        basis: The basis that its filters are made of.

    Shapes:
        (batch, in_channels * |G|, height, width) -> (batch, out_channels * |G|, height', width')
    """

    def __init__(self, plain: nn.Conv2d, basis: FixedBasis) -> None:
        super().__init__()
        self.plain = plain
        self._basis = (basis,)  # not a part of the state
        self._options = fused.Options(plain.stride[0], (int(plain.padding[0]), int(plain.padding[1])))
        self._packed: fused.Packed | None = None
        self._shift: Tensor | None = None
        self._seen: list[tuple[Tensor, int]] = []

    def __getstate__(self) -> dict[str, Any]:
        """Without packed numbers, whose order is that of one kind of processor."""
        return {**self.__dict__, "_packed": None, "_shift": None, "_seen": []}

    def forward(self, x: Float[Tensor, "b ih h1 w1"]) -> Float[Tensor, "b og h2 w2"]:
        """Correlate `x` with the filters."""
        known, functions = fused_layer.structure(self._basis[0]), library()
        if is_recorded() or known is None or functions is None or not self._is_plain(x):
            return self.plain(x)
        tensors = [t for t in (self.plain.weight, self.plain.bias) if t is not None]
        if len(self._seen) != len(tensors) or any(
            t is not seen or _version(t) != version for t, (seen, version) in zip(tensors, self._seen, strict=True)
        ):
            self._pack(functions, known)
            self._seen = [(t, _version(t)) for t in tensors]
        packed, stride = self._packed, self._options.stride
        if packed is None or not fused_layer.packed_pays_off(known, packed.sizes, stride, x):
            return self.plain(x)
        return fused.correlate(functions, x, packed, known, self._options, self._shift)

    def _is_plain(self, x: Tensor) -> bool:
        learns = torch.is_grad_enabled() and (x.requires_grad or self.plain.weight.requires_grad)
        return not learns and is_built() and fused.is_plain(x, self.plain.weight) and not _has_autocast()

    @torch.no_grad()
    def _pack(self, functions: ctypes.CDLL, known: Structure) -> None:
        """Pack the filters of now; nothing if they are not made of the basis."""
        coefficients, bias = _coefficients(self.plain.weight, self._basis[0]), self.plain.bias
        self._packed = None if coefficients is None else fused.pack(functions, coefficients, known)
        self._shift = None if bias is None else bias.detach()[:: known.order].contiguous()


def _has_autocast() -> bool:
    return torch.is_autocast_enabled("cpu")


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001
