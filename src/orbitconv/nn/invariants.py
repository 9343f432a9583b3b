"""Complete invariants of a group: all of a signal on it, but for where the signal is shifted to.

A maximum or a mean over the group keeps one number of a field and forgets how its copies stand to each other. These
layers keep everything that does not depend on the shift.
"""

from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from orbitconv.groups import Cyclic, Group
from orbitconv.nn.pooling import check_on_group


class _CompleteInvariant(nn.Module):
    """Products of three numbers of a field, scaled back to the size of one."""

    numbers: int
    """Numbers for each field."""

    def __init__(self, group: Group, eps: float) -> None:
        super().__init__()
        if not eps > 0:
            raise ValueError(f"{type(self).__name__} expects eps > 0, got {eps}.")
        self.group, self.eps = group, eps

    def extra_repr(self) -> str:
        """Options, for `print`."""
        return f"{self.group}, eps={self.eps:g}"


@final
class GroupBispectrum(_CompleteInvariant):
    """The bispectrum of every field over a cyclic group, at every pixel: planar features that turn with the image.

    With F(k) the mean over g of x(g) exp(-2 pi i k g / N), B(k, l) = F(k) F(l) conj(F(k + l)) does not change when x
    is shifted. B(0, 0), B(0, 1) and B(1, k), k = 1 ... (N - 1) / 2, determine a real x up to a shift where no F(k) is
    zero: they give magnitudes and phases of F one after the other, all but the phase of F(1), which is the shift. A
    power spectrum does not. A product b of three numbers becomes b / (|b|^2 + eps)^(1/3), which loses nothing and
    grows as x does.

    Args:
        group: A cyclic group.
        eps: Keeps gradients finite at zero.

    Shapes:
        (batch, channels, N, height, width) -> (batch, channels * numbers, height, width), with `numbers` = N for even
        N, N + 1 for odd N > 1, and 1 for N = 1

    Raises:
        ValueError: If the group is not cyclic or `eps` not positive; at call time, if the input is not on the group.

    Source: Kakarala (1992), Triple correlation on groups; Sanborn & Miolane (2023), A general framework for robust
    G-invariance in G-equivariant networks; Mataigne et al. (2024), The selective G-bispectrum and its inversion.
    """

    def __init__(self, group: Group, eps: float = 1e-4) -> None:
        super().__init__(group, eps)
        if not isinstance(group, Cyclic):
            raise ValueError(  # noqa: TRY004  # of the right type, but without numbers for coefficients
                f"GroupBispectrum expects a cyclic group, whose Fourier coefficients are numbers, got {group}. Use "
                "GroupTripleCorrelation, which keeps as much on every group, or a GroupRestriction to the turns."
            )
        self.numbers = 1 if group.order == 1 else 2 + (group.order - 1) // 2 * 2
        self.waves: list[list[list[float]]] = fourier_waves(group.order)

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b cn h w"]:
        """Transform every field, and multiply."""
        check_on_group(type(self).__name__, x, self.group)
        return bispectrum(x, x.new_tensor(self.waves), self.group.order, self.eps)


@final
class GroupTripleCorrelation(_CompleteInvariant):
    """The triple correlation of every field over the group, at every pixel: planar features that turn with the image.

    T(k, l) = mean over g of x(g) x(g k) x(g l) does not change when the group acts on x, and determines x up to that
    action where the Fourier coefficients of x are all invertible, as those of nearly every x are. Pairs (k, l) that
    always have the same T are taken once. Products are scaled as in GroupBispectrum, which holds the same for a cyclic
    group in fewer numbers.

    Args:
        group: Any group.
        eps: Keeps gradients finite at zero.

    Shapes:
        (batch, channels, |G|, height, width) -> (batch, channels * numbers, height, width), with `numbers` about
        |G|^2 / 6: 5 on C4, 15 on C8, 15 on D4

    Raises:
        ValueError: If `eps` is not positive; at call time, if the input is not on the group.

    Source: Kakarala (1992), Triple correlation on groups; Sanborn & Miolane (2023), A general framework for robust
    G-invariance in G-equivariant networks.
    """

    def __init__(self, group: Group, eps: float = 1e-4) -> None:
        super().__init__(group, eps)
        self.pairs = distinct_pairs(group)
        self.numbers = len(self.pairs)
        self.shifts: list[list[int]] = group.product.T.tolist()

    def forward(self, x: Float[Tensor, "b c g h w"]) -> Float[Tensor, "b cn h w"]:
        """Correlate every field with two shifted copies of itself."""
        check_on_group(type(self).__name__, x, self.group)
        return triple_correlation(x, self.shifts, self.pairs, self.eps)


def bispectrum(
    x: Float[Tensor, "b c g h w"], waves: Float[Tensor, "2 k g"], order: int, eps: float
) -> Float[Tensor, "b cn h w"]:
    """The numbers of GroupBispectrum."""
    plane = (x.shape[3], x.shape[4])
    real, imag = ((wave @ x.flatten(3)).unflatten(3, plane) for wave in (waves[0], waves[1]))
    mean = real[:, :, :1]
    products, sizes = [mean**3], [mean**6]
    if order > 1:
        power = mean * (real[:, :, 1:2].square() + imag[:, :, 1:2].square())  # F(0) F(1) conj(F(1))
        products, sizes = [*products, power], [*sizes, power.square()]
    if order > 2:
        last = 1 + (order - 1) // 2
        a, b, c, d = real[:, :, 1:2], imag[:, :, 1:2], real[:, :, 1:last], imag[:, :, 1:last]
        e, f = real[:, :, 2 : last + 1], imag[:, :, 2 : last + 1]
        up, across = a * c - b * d, a * d + b * c  # F(1) F(k)
        pair = (up * e + across * f, across * e - up * f)  # times conj(F(k + 1))
        products, sizes = [*products, *pair], [*sizes, *[pair[0].square() + pair[1].square()] * 2]
    return (torch.cat(products, 2) * (torch.cat(sizes, 2) + eps) ** (-1 / 3)).flatten(1, 2)


def triple_correlation(
    x: Float[Tensor, "b c g h w"], shifts: Sequence[Sequence[int]], pairs: Sequence[tuple[int, int]], eps: float
) -> Float[Tensor, "b cn h w"]:
    """The numbers of GroupTripleCorrelation."""
    copies = [x[:, :, list(shifts[k])] for k in range(len(shifts))]
    found = torch.stack([(x * copies[k] * copies[m]).mean(2) for k, m in pairs], 2)
    return (found * (found.square() + eps) ** (-1 / 3)).flatten(1, 2)


def fourier_waves(order: int) -> list[list[list[float]]]:
    """Real and imaginary parts of exp(-2 pi i k g / N) / N for the frequencies k, two or more, of a bispectrum."""
    frequencies = np.arange(max(2, (order - 1) // 2 + 2))
    waves = np.exp(-2j * np.pi * (np.outer(frequencies, np.arange(order)) % order) / order) / order
    return np.stack([waves.real, waves.imag]).tolist()


def distinct_pairs(group: Group) -> list[tuple[int, int]]:
    """One pair (k, l) of all that have the same triple correlation: (k, l), (l, k), (k^-1, k^-1 l)."""
    seen: set[tuple[int, int]] = set()
    chosen = []
    for first in np.ndindex(group.order, group.order):
        if first not in seen:
            chosen.append((int(first[0]), int(first[1])))
            todo = [chosen[-1]]
            while todo:
                k, m = todo.pop()
                if (k, m) not in seen:
                    seen.add((k, m))
                    todo += [(m, k), (int(group.inverse[k]), int(group.quotient[k, m]))]
    return chosen
