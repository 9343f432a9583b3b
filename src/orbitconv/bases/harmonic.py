"""Circular harmonics: the steerable basis that is written down rather than learned."""

import math
from collections.abc import Sequence
from typing import final

import numpy as np
import torch
from jaxtyping import Float

from orbitconv._support.checks import check_positive
from orbitconv.bases.filter_basis import FixedBasis
from orbitconv.bases.orbits import complete_orbit
from orbitconv.groups import Group


@final
class HarmonicBasis(FixedBasis):
    """Gaussian rings times circular harmonics `cos(k theta), sin(k theta)`, turned in closed form, then sampled.

    Rings lie at the radii 0, 1, 2, ... for odd kernels and 0.5, 1.5, ... for even ones. A ring holds the
    frequencies 0 to its maximum. With the defaults a 3x3 kernel has 6 atoms, 5x5 11 and 7x7 18. The atoms are
    normalized by their mean Gram matrix over the group.

    Args:
        group: Any group.
        kernel_size: Side of the square kernel, in pixels. Rectangles are not supported: rings are round.
        max_frequency: Highest angular frequency of every ring, or one value for each ring from the inside out.
            By default 1 below radius 1, 2 for rings up to radius 2, and the radius, rounded down, beyond. A ring
            at the centre holds frequency 0 only, whatever is asked.
        sigma: Width of the rings, in pixels; the default turns natural images best.

    Raises:
        ValueError: If sigma is not above zero, a frequency is negative, there is not one frequency per ring, or
            the sampled atoms are linearly dependent (too many frequencies for the few pixels of a ring).

    Source: Weiler, Hamprecht & Storath (2018), Learning steerable filters for rotation equivariant CNNs.
    """

    def __init__(
        self,
        group: Group,
        kernel_size: int,
        max_frequency: int | Sequence[int] | None = None,
        *,
        sigma: float = 0.45,
    ) -> None:
        check_positive("HarmonicBasis", kernel_size=kernel_size)
        if not sigma > 0:
            raise ValueError(f"HarmonicBasis expects sigma > 0 pixels, got {sigma}.")
        radii = [r + (0.0 if kernel_size % 2 else 0.5) for r in range((kernel_size + 1) // 2)]
        frequencies = _frequencies(radii, max_frequency)
        rows, cols = np.indices((kernel_size, kernel_size)).reshape(2, -1) - (kernel_size - 1) / 2
        radius, theta = np.hypot(rows, cols), np.arctan2(-rows, cols)

        def turn(g: int) -> Float[np.ndarray, "d p"]:
            mirrored = math.pi - theta if group.mirrors[g] else theta
            source = mirrored + (group.angles[g] if group.mirrors[g] else -group.angles[g])
            atoms = []
            for ring, highest in zip(radii, frequencies, strict=True):
                profile = np.exp(-((radius - ring) ** 2) / (2 * sigma**2))
                atoms.append(profile)
                for k in range(1, highest + 1):
                    # A harmonic has no value at the centre, where its angle is undefined.
                    atoms += [np.where(radius > 0, profile * f(k * source), 0) for f in (np.cos, np.sin)]
            return np.stack(atoms)

        _check_independent(turn(0), kernel_size)
        atoms = complete_orbit(group, (kernel_size, kernel_size), turn, normalize=True)
        super().__init__(group, kernel_size, torch.from_numpy(atoms))
        self.max_frequency = frequencies
        self.sigma = sigma


def _frequencies(radii: list[float], max_frequency: int | Sequence[int] | None) -> tuple[int, ...]:
    """The highest frequency of every ring."""
    if max_frequency is None:
        chosen = [1 if radius < 1 else max(2, math.floor(radius)) for radius in radii]
    elif isinstance(max_frequency, int):
        chosen = [max_frequency] * len(radii)
    else:
        chosen = list(max_frequency)
    if len(chosen) != len(radii) or min(chosen) < 0:
        raise ValueError(
            f"HarmonicBasis expects one frequency of 0 or more for each of the {len(radii)} rings at the radii "
            f"{radii}, got {max_frequency}."
        )
    return tuple(0 if radius == 0 else frequency for radius, frequency in zip(radii, chosen, strict=True))


def _check_independent(flat: Float[np.ndarray, "d p"], kernel_size: int) -> None:
    """Refuse atoms that are linearly dependent at the identity."""
    rank = int(np.linalg.matrix_rank(flat / np.linalg.norm(flat, axis=1, keepdims=True).clip(1e-12), tol=1e-6))
    if rank < len(flat):
        raise ValueError(
            f"HarmonicBasis has {len(flat)} atoms but a {kernel_size}x{kernel_size} kernel can tell only {rank} of "
            "them apart. Lower max_frequency."
        )
