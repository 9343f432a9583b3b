"""The best turn of filters for each angle alone, with no group law: what the learned bases are measured against."""

from collections.abc import Callable
from typing import final

import numpy as np
import torch
from jaxtyping import Float

from orbitconv._support.checks import check_positive
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.orbits import complete_orbit
from orbitconv.bases.second_moments import SecondMoments, check_excited, check_moments
from orbitconv.groups import Group

_Fit = Callable[[Float[np.ndarray, "p p"], Float[np.ndarray, "p p"]], Float[np.ndarray, "p p"]]


class UnconstrainedBasis(FixedBasis):
    """One atom per pixel; each element that no exact move supplies has a map of its own, `psi_g = M_g psi_0`.

    Two turns by 45 degrees are not the quarter turn, which is the exact one all the same: the group law fails.
    """

    def __init__(self, group: Group, kernel_size: int, moments: SecondMoments | None, fit: _Fit) -> None:
        owner = type(self).__name__
        check_positive(owner, kernel_size=kernel_size)
        checked = check_moments(owner, group, kernel_size, moments)
        patches, cross = (m.detach().cpu().double().numpy() for m in (checked.patches, checked.cross))

        def turn(g: int) -> Float[np.ndarray, "d p"]:
            return fit(patches[g], cross[g]).T if g else np.eye(kernel_size**2)

        super().__init__(group, kernel_size, torch.from_numpy(complete_orbit(group, (kernel_size, kernel_size), turn)))


@final
class LeastSquaresBasis(UnconstrainedBasis):
    """The linear map with the least squared error for each angle: `M_g = Q_g^-1 C_g`. It does not keep norms.

    Args:
        group: Any group.
        kernel_size: Side of the square kernel, in pixels.
        moments: Second moments of real images for both.

    Raises:
        TypeError: If the moments are missing.
        ValueError: If the moments are for another group or kernel size, not finite, or singular.
    """

    def __init__(self, group: Group, kernel_size: int, moments: SecondMoments | None = None) -> None:
        def least_squares(patches: np.ndarray, cross: np.ndarray) -> np.ndarray:
            check_excited("LeastSquaresBasis", patches)
            return np.linalg.solve(patches, cross)

        super().__init__(group, kernel_size, moments, least_squares)


@final
class ProcrustesBasis(UnconstrainedBasis):
    """The orthogonal map with the least squared error for each angle: the polar factor of `C_g`.

    `UnitaryBasis` asks for the group law on top; this one shows what that costs.

    Args:
        group: Any group.
        kernel_size: Side of the square kernel, in pixels.
        moments: Second moments of real images for both.

    Raises:
        TypeError: If the moments are missing.
        ValueError: If the moments are for another group or kernel size, not finite, or singular.

    Source: Schoenemann (1966), A generalized solution of the orthogonal Procrustes problem.
    """

    def __init__(self, group: Group, kernel_size: int, moments: SecondMoments | None = None) -> None:
        def procrustes(patches: np.ndarray, cross: np.ndarray) -> np.ndarray:
            check_excited("ProcrustesBasis", patches)
            left, _, right = np.linalg.svd(cross)
            return left @ right

        super().__init__(group, kernel_size, moments, procrustes)
