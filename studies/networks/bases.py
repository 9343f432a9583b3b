"""The basis of every family for the networks of a study, fitted to the study's own training images."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv import bases
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.groups import Group
from orbitconv.learn import BasisTraining, Moments, measure_moments, train_basis

Family = Literal[
    "plain", "exact", "nearest", "bilinear", "gaussian", "harmonic",
    "learned", "average", "fine-tuned", "over-complete", "spectral", "unitary",
    "spectral, disc", "spectral, identity",
]  # fmt: skip
"""Every family. Two are there to see what makes the spectral one good: its atoms without the corners of the kernel, and
its atoms made orthonormal at the identity rather than on the mean over the group."""

FAMILIES: tuple[Family, ...] = get_args(Family)[:-2]
"""The families that are compared by default."""

LEARNED: tuple[Family, ...] = ("learned", "average", "fine-tuned", "over-complete", "spectral", "unitary")
"""Families whose filter rotation is learned."""

WRITTEN_DOWN: tuple[Family, ...] = ("exact", "nearest", "bilinear", "gaussian", "harmonic")
"""Families of bases that depend on no images, and are built immediately."""

COPIES = 3
"""Number of concatenated bases in the over-complete one."""
_FIT_IMAGES = 2000


class NetworkBases:
    """Bases by family, group and kernel size; each is made when it is first asked for.

    Source: Diaconu & Worrall (2019), section 5, for the families; 3x3 there.
    """

    def __init__(
        self, images: Float[Tensor, "n 1 h w"], folder: Path, *, dimension: int | None = None,
        training: BasisTraining | None = None, progress: ProgressCallback = silent,
    ) -> None:  # fmt: skip
        self._images, self._folder, self._dimension, self._progress = images, folder, dimension, progress
        self._training = BasisTraining() if training is None else training
        self._made: dict[tuple[Family, Group, int], bases.FixedBasis] = {}

    def basis(self, family: Family, group: Group, kernel_size: int) -> bases.FixedBasis:
        """The basis of one family."""
        key = (family, group, kernel_size)
        if key not in self._made:
            self._made[key] = self._make(family, group, kernel_size)
        return self._made[key]

    def _make(self, family: Family, group: Group, kernel_size: int) -> bases.FixedBasis:
        match family:
            case "exact" | "nearest" | "bilinear" | "gaussian":
                return bases.build_basis(family, group, kernel_size)
            case "harmonic":
                return bases.build_basis(family, group, kernel_size, self._dimension)
            case "unitary":
                return bases.UnitaryBasis(group, kernel_size, self._moments(group, kernel_size))
            case "spectral":
                return self._spectral(group, kernel_size)
            case "spectral, disc":
                atoms = self._spectral(group, kernel_size)()
                return bases.TabulatedBasis(group, (kernel_size, kernel_size), atoms * _disc(kernel_size))
            case "spectral, identity":
                atoms = self._spectral(group, kernel_size)(torch.float64).flatten(2)
                mix = torch.linalg.inv(torch.linalg.cholesky(atoms[0] @ atoms[0].mT))
                return bases.TabulatedBasis(
                    group, (kernel_size, kernel_size), (mix @ atoms).unflatten(2, (kernel_size, -1))
                )
            case "learned" | "fine-tuned":
                return self._trained(group, kernel_size, 0).frozen()
            case "average":
                return self._trained(group, kernel_size, 0).average().frozen()
            case "over-complete":
                together = bases.OvercompleteBasis([self._trained(group, kernel_size, n) for n in range(COPIES)])
                return bases.TabulatedBasis(group, together.kernel_size, together().detach())
            case "plain":
                raise ValueError("NetworkBases expects a family with a basis, got 'plain'.")

    def _spectral(self, group: Group, kernel_size: int) -> bases.SpectralBasis:
        """The requested number of atoms, of frequencies that do not vanish between two elements."""
        moments = self._moments(group, kernel_size)
        dimension = self._dimension or bases.HarmonicBasis(group, kernel_size).num_atoms
        return bases.SpectralBasis(
            group, kernel_size, moments, dimension=dimension, max_frequency=(group.num_rotations - 1) // 2
        )

    def _moments(self, group: Group, kernel_size: int) -> Moments:
        return measure_moments(self._images[:_FIT_IMAGES], group, kernel_size)

    def _trained(self, group: Group, kernel_size: int, seed: int) -> bases.LearnedBasis:
        """One training as in the paper, in its own folder."""
        name = f"{group.name.lower()}-k{kernel_size}-seed-{seed}"

        def show(_what: str, done: int, total: int) -> None:
            self._progress(f"basis {name}", done, total)

        return train_basis(
            self._images, group, kernel_size, replace(self._training, seed=seed), out=self._folder / name, resume=True,
            progress=show,
        ).basis  # fmt: skip


def _disc(side: int) -> Float[Tensor, "k k"]:
    """One at the pixels of a kernel whose centres are within half its side, zero elsewhere."""
    offset = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    return (torch.hypot(offset[:, None], offset) <= side / 2).double()
