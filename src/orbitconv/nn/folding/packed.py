"""A convolution whose filters are packed once for the fused product."""

import ctypes
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.bases import FixedBasis
from orbitconv.nn.folding.marked import coefficients_of
from orbitconv.nn.products.choice import packed_pays_off
from orbitconv.nn.products.kernel import fused
from orbitconv.nn.products.kernel import layer as fused_layer
from orbitconv.nn.products.kernel.library import is_built, library
from orbitconv.nn.products.kernel.plain import is_plain
from orbitconv.nn.products.kernel.structure import Structure
from orbitconv.nn.products.recompute import is_recorded


class PackedConv2d(nn.Module):
    """A plain convolution beside the fused product, for which its filters are packed at the first call.

    They are packed anew when they are loaded or changed. Other planes may be added to its output, and negative numbers
    of the sum become zeros if `rectifies` is set.

    Shapes:
        (batch, in_channels * |G|, height, width) -> (batch, out_channels * |G|, height', width')
    """

    def __init__(self, plain: nn.Conv2d, basis: FixedBasis) -> None:
        super().__init__()
        self.plain = plain
        self.rectifies = False
        self._basis = (basis,)  # not a part of the state
        self._options = fused.Options(plain.stride[0], (int(plain.padding[0]), int(plain.padding[1])))
        self._packed: fused.Packed | None = None
        self._shift: Tensor | None = None
        self._seen: list[tuple[Tensor, int]] = []

    def __getstate__(self) -> dict[str, Any]:
        """Without packed numbers, whose order is that of one kind of processor."""
        return {**self.__dict__, "_packed": None, "_shift": None, "_seen": []}

    def forward(
        self, x: Float[Tensor, "b ih h1 w1"], added: Float[Tensor, "b og h2 w2"] | None = None
    ) -> Float[Tensor, "b og h2 w2"]:
        """Correlate `x` with the filters, add, rectify."""
        y = None if is_recorded() else self._fused(x, added)
        if y is not None:
            return y
        y = self.plain(x)
        y = y if added is None else y + added
        return F.relu(y) if self.rectifies else y

    def _fused(self, x: Tensor, added: Tensor | None) -> Tensor | None:
        """The same by the fused product; None where it is not to be taken."""
        known, functions = fused_layer.structure(self._basis[0]), library()
        if known is None or functions is None or not self._is_plain(x):
            return None
        tensors = [t for t in (self.plain.weight, self.plain.bias) if t is not None]
        if len(self._seen) != len(tensors) or any(
            t is not seen or _version(t) != version for t, (seen, version) in zip(tensors, self._seen, strict=True)
        ):
            self._pack(functions, known)
            self._seen = [(t, _version(t)) for t in tensors]
        packed, stride = self._packed, self._options.stride
        if packed is None or not x.numel() or min(self._output_size(x)) < 1:  # which torch answers or refuses
            return None
        if not packed_pays_off(known, packed.sizes, stride, x.shape):
            return None
        if added is not None and not (is_plain(added) and self._fits(x, added)):
            return None
        return fused.correlate(
            functions, x, packed, known, self._options, self._shift, added=added, rectify=self.rectifies
        )

    def _fits(self, x: Tensor, added: Tensor) -> bool:
        """Whether planes have the shape of the output, which others are spread to by torch."""
        learns = torch.is_grad_enabled() and added.requires_grad
        return tuple(added.shape) == (len(x), self.plain.out_channels, *self._output_size(x)) and not learns

    def _output_size(self, x: Tensor) -> tuple[int, int]:
        return fused.output_size(x, self.plain.kernel_size[0], self._options)

    def _is_plain(self, x: Tensor) -> bool:
        learns = torch.is_grad_enabled() and (x.requires_grad or self.plain.weight.requires_grad)
        return not learns and is_built() and is_plain(x, self.plain.weight) and not torch.is_autocast_enabled("cpu")

    @torch.no_grad()
    def _pack(self, functions: ctypes.CDLL, known: Structure) -> None:
        """Pack the filters of now; nothing if they are not made of the basis."""
        coefficients, bias = coefficients_of(self.plain.weight, self._basis[0]), self.plain.bias
        shift = None if bias is None else bias.detach().unflatten(0, (-1, known.order))
        is_shared = shift is None or torch.equal(shift, shift[:, :1].expand_as(shift))
        self._packed = None
        if coefficients is not None and is_shared:
            self._packed = fused.pack(functions, known.spread(coefficients), known)
        self._shift = None if shift is None else shift[:, 0].contiguous()


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version  # noqa: SLF001
