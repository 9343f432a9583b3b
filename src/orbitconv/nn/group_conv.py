"""From the group to the group."""

from functools import partial
from typing import Literal, final

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import Size2
from orbitconv.bases import FilterBasis
from orbitconv.groups import Cyclic
from orbitconv.nn.conv import Padding, PaddingMode
from orbitconv.nn.products.choice import ALL, Choice, choose
from orbitconv.nn.products.fourier import (
    FourierTables,
    correlate_in_fourier_space,
    fourier_tables,
    work_of,
)
from orbitconv.nn.products.gpu import layer as gpu
from orbitconv.nn.products.kernel import layer as fused
from orbitconv.nn.products.local import expand_local, near_elements, needed_planes, spread
from orbitconv.nn.products.recompute import recomputed
from orbitconv.nn.turned_conv import TurnedConv2d


@final
class GroupConv2d(TurnedConv2d):
    """Correlate feature maps on the group with filters on the group.

    y[b, o, g] = sum over i, h of x[b, i, h] correlated with filter[o, g, i, h], and
    filter[o, g, i, h] = sum over d of coefficients[o, i, g^-1 h, d] * basis[g, d].

    Equivariant to the group as far as its basis is: transforming the input planes and permuting their group axis
    does the same to the output (`orbitconv.groups.act_features`). Exactly so for the elements that map the pixel grid
    to itself, if the output grid keeps the centre (see `keeps_centre`) and padding is the same on all sides.
    A basis of kernel size 1 gives the 1x1 layer, which mixes channels and the group axis.

    The arguments are those of `torch.nn.Conv2d`, with the basis in place of the kernel size.

    Args:
        in_channels: Channels of the input for each group element.
        out_channels: Channels of the output for each group element.
        basis: Filter basis, or the name or file of one (`orbitconv.bases.load_basis`); it brings the group and the
            kernel size.
        stride: Step of the output grid, in pixels.
        padding: Padding in pixels, one number or (height, width); `"same"` or `"valid"`. `"same"` pads even kernels
            more on one side, as torch does, which breaks exact equivariance.
        dilation: Distance between the pixels of a filter.
        groups: Number of blocks that channels are divided into; a channel keeps its group axis whole.
        bias: Whether to add a bias for each output channel, the same at all group elements.
        padding_mode: `"zeros"`, `"reflect"`, `"replicate"` or `"circular"`.
        device: Device of the parameters.
        dtype: Dtype of the parameters.
        recompute: Whether to expand the filters again for the backward pass instead of keeping them, as in BasisConv2d.
        fourier: Whether to multiply with the group axis in Fourier space (`nn.products.fourier`), which has up to
            |G| / 2 times fewer multiply-adds, more where there are fewer atoms than pixels, and no filters to expand,
            but moves more numbers and, in training, keeps D planes for each one of the output. Values are the same up
            to rounding. For cyclic groups. By default, `"auto"`, it does so call by call where it is expected to be
            faster (`nn.products.choice`; `explain` tells), in float32 on a CPU, not compiled. Beyond the dense product
            it keeps a few dozen megabytes at most: it computes parts of larger batches again for their gradients, and
            leaves large planes.
        group_kernel: Number of nearest turns, odd, at which filters have coefficients: m = g^-1 h turns by no more than
            (group_kernel - 1) / 2 steps either way. In a dihedral group, the mirror followed by each of these turns has
            coefficients too. Parameters and multiply-adds fall by |G| over that number of elements. None for all.

    Shapes:
        (batch, in_channels, group, height, width) -> (batch, out_channels, group, height', width')

    Raises:
        TypeError: If the basis is not a FilterBasis; at call time, if the input has another dtype.
        ValueError: If an argument is out of range; at call time, if the input has another shape.

    Source: Cohen & Welling (2016), section 6; Diaconu & Worrall (2019), section 2.2; Bekkers et al. (2018),
        Roto-translation covariant convolutional networks for medical image analysis, for `group_kernel`.
    """

    _layers_before = 2
    waves: Tensor
    shifts: Tensor
    near: Tensor
    needed: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        basis: FilterBasis | str,
        stride: Size2 = 1,
        padding: Padding = 0,
        dilation: Size2 = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        recompute: bool = False,
        fourier: bool | Literal["auto"] = "auto",
        group_kernel: int | None = None,
    ) -> None:
        self.group_kernel = group_kernel
        super().__init__(
            in_channels, out_channels, basis, stride, padding, dilation, groups, bias, padding_mode, device, dtype,
            recompute=recompute,
        )  # fmt: skip
        if fourier not in {False, True, "auto"}:
            raise ValueError(f"GroupConv2d expects fourier=False, True or 'auto', got {fourier!r}.")
        if fourier != "auto" and fourier and not isinstance(self.group, Cyclic):
            raise ValueError(
                f"GroupConv2d supports fourier=True for cyclic groups, got {self.group}. Leave it out, or take 'auto'."
            )
        automatic = fourier == "auto" and not self.recompute and not group_kernel
        self.fourier: bool | Literal["auto"] = "auto" if automatic else fourier is True
        self.work = work_of(self) if self.fourier and isinstance(self.group, Cyclic) else None
        self.plans: dict[tuple[torch.Size, bool, bool, bool | str], Choice] = {}
        names = ("waves", "shifts") if self.work is not None else ()
        for name in (*names, *(("near", "needed") if group_kernel else ())):
            self.register_buffer(name, torch.empty(0, device=self.coefficients.device), persistent=False)
        self._write_tables()

    @torch.inference_mode(mode=False)  # a state dict may be loaded in it, and the layer trained afterwards
    def _write_tables(self) -> None:
        """Bring the tables to the layer's device, in float64: they are rounded where they are used.

        Moves and loading may come while a pruned or parametrized layer has coefficients of before.
        """
        super()._write_tables()
        if self.group_kernel is not None:
            device = self.coefficients.device
            near = near_elements("GroupConv2d", self.group, self.group_kernel)
            self.near = torch.tensor(near, device=device)
            self.needed = needed_planes(self.group, near, self.in_channels).to(device)
        if self.work is not None:
            device = self.coefficients.device
            device = device if self.waves.is_meta else self.waves.device
            widest = torch.float32 if device.type == "mps" else torch.float64
            self.waves, self.shifts = (
                table.to(device, widest, copy=True) for table in fourier_tables(self.group.order)
            )

    def _coefficient_shape(self, in_channels: int) -> tuple[int, ...]:
        order = self.group.order
        if self.group_kernel is not None:
            order = len(near_elements("GroupConv2d", self.group, self.group_kernel))
        return self.out_channels, in_channels, order, self.basis.num_atoms

    def _expand(
        self, coefficients: Float[Tensor, "o i m d"], atoms: Float[Tensor, "g d ky kx"], channels_last: bool = False
    ) -> Float[Tensor, "og ih ky kx"]:
        return super()._expand(self._everywhere(coefficients), atoms, channels_last)

    def _everywhere(self, coefficients: Float[Tensor, "o i near d"]) -> Float[Tensor, "o i m d"]:
        """Coefficients at all relative elements."""
        if self.group_kernel is None:
            return coefficients
        return spread(coefficients, self.near.to(coefficients.device), self.group.order)

    def convolve(self, x: Float[Tensor, "b ih h w"]) -> Float[Tensor, "b og h2 w2"]:
        """Correlate planes with the filters of every group element; channels and group are flattened in this order."""
        if self.group_kernel is None:
            return super().convolve(x)
        x, padding = self.pad(x)
        planes = x.index_select(1, self.needed.to(x.device))
        order, bias = self.group.order, None if self.bias is None else self.bias.repeat(self.group.order)

        def expand(coefficients: Tensor, atoms: Tensor, channels_last: bool) -> Tensor:  # noqa: ARG001
            return expand_local(coefficients, atoms)

        y = self._correlate(planes, expand, bias, padding, order * self.groups)
        return y.unflatten(1, (order, self.out_channels)).transpose(1, 2).flatten(1, 2)

    def forward(self, x: Float[Tensor, "b i h h1 w1"]) -> Float[Tensor, "b o g h2 w2"]:
        """Correlate `x` with the filter at every group element."""
        self.check_features(x)
        planes = x.flatten(1, 2)
        choice = choose(self, planes)
        if choice.structure is not None:
            y = fused.multiply(self, planes, choice.structure, self._expand)
            return y.unflatten(1, (self.out_channels, self.group.order))
        if choice.plan is not None:
            y = gpu.multiply(self, planes, choice.plan, self._expand)
            return y.unflatten(1, (self.out_channels, self.group.order))
        if choice.product == "fourier":
            return self._correlate_in_fourier_space(planes, choice.together)
        return self.convolve(planes).unflatten(1, (self.out_channels, self.group.order))

    def _correlate_in_fourier_space(
        self, planes: Float[Tensor, "b ih h1 w1"], together: int
    ) -> Float[Tensor, "b o g h2 w2"]:
        planes, padding = self.pad(planes)
        options = self.stride, padding, self.dilation, self.groups
        dtype = self.coefficients.dtype
        atoms, tables = self.basis(dtype), FourierTables(self.waves.to(dtype), self.shifts.to(dtype))

        def product(part: Tensor, coefficients: Tensor, atoms: Tensor) -> Tensor:
            return correlate_in_fourier_space(part, self._everywhere(coefficients), atoms, tables, options)

        if together == ALL or together >= len(planes):
            parts, run = (planes,), product
        else:  # of what lies between, only one part is in memory, unless the user asked for speed
            parts, run = planes.split(together), product if self.fourier is True else partial(recomputed, product)
        done = [run(part, self.coefficients, atoms) for part in parts]
        y = done[0] if len(done) == 1 else torch.cat(done)
        return y if self.bias is None else y + self.bias.to(y.dtype)[:, None, None, None]

    def extra_repr(self) -> str:
        """Channels and options, for `print`."""
        local = "" if self.group_kernel is None else f", group_kernel={self.group_kernel}"
        return super().extra_repr() + (", fourier=True" if self.fourier is True else "") + local
