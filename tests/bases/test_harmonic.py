import math

import numpy as np
import pytest
import torch

from orbitconv.bases import HarmonicBasis
from orbitconv.groups import Cyclic, Dihedral
from raising import refuses


def naive_atoms(group, size, frequencies, sigma):
    """Rings times harmonics at the point where every pixel came from, orthonormal on average over the group."""
    atoms = np.zeros((group.order, sum(2 * f + 1 for f in frequencies), size, size))
    for g in range(group.order):
        angle = -2 * math.pi * (g % group.num_rotations) / group.num_rotations
        for row in range(size):
            for col in range(size):
                z = complex(col - (size - 1) / 2, (size - 1) / 2 - row) * np.exp(1j * angle)
                z = complex(-z.real, z.imag) if group.mirrors[g] else z
                values = []
                for ring, highest in enumerate(frequencies):
                    radius = ring + (0 if size % 2 else 0.5)
                    profile = math.exp(-((abs(z) - radius) ** 2) / (2 * sigma**2))
                    values.append(profile)
                    for k in range(1, highest + 1):
                        power = (z / abs(z)) ** k if abs(z) > 1e-9 else 0j
                        values += [profile * power.real, profile * power.imag]
                atoms[g, :, row, col] = values
    for d in range(atoms.shape[1]):  # Gram-Schmidt, each atom with all its turned copies as one vector
        for e in range(d):
            atoms[:, d] -= (atoms[:, d] * atoms[:, e]).sum() / group.order * atoms[:, e]
        atoms[:, d] /= math.sqrt((atoms[:, d] ** 2).sum() / group.order)
    return atoms


@pytest.mark.parametrize(("group", "size", "frequencies", "sigma"), [
    (Cyclic(8), 3, (0, 2), 0.6), (Cyclic(5), 5, (0, 2, 3), 0.5), (Dihedral(8), 3, (0, 1), 0.6),
    (Dihedral(3), 4, (1, 2), 0.6), (Cyclic(6), 2, (1,), 0.6),
], ids=str)  # fmt: skip
def test_atoms_are_rings_times_harmonics(group, size, frequencies, sigma):
    basis = HarmonicBasis(group, size, frequencies, sigma=sigma)
    np.testing.assert_allclose(basis(torch.float64), naive_atoms(group, size, frequencies, sigma), rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("size", "frequencies"), [(1, (0,)), (2, (1,)), (3, (0, 2)), (5, (0, 2, 2)), (7, (0, 2, 2, 3))]
)
def test_default_frequencies(size, frequencies):
    basis = HarmonicBasis(Cyclic(8), size)
    assert basis.max_frequency == frequencies
    assert basis.num_atoms == sum(2 * f + 1 for f in frequencies)


@pytest.mark.parametrize("group", [Cyclic(1), Cyclic(7), Cyclic(16), Dihedral(8)], ids=str)
def test_atoms_are_orthonormal_on_average_over_the_group(group):
    flat = HarmonicBasis(group, 5)(torch.float64).flatten(2)
    gram = torch.einsum("gdp,gep->de", flat, flat) / group.order
    torch.testing.assert_close(gram, torch.eye(11, dtype=torch.float64), rtol=0, atol=1e-12)


def test_one_number_is_the_frequency_of_every_ring_but_the_centre():
    assert HarmonicBasis(Cyclic(8), 5, 1).max_frequency == (0, 1, 1)
    assert HarmonicBasis(Cyclic(8), 4, 1).max_frequency == (1, 1)


RINGS, PIXELS = "one frequency of 0 or more for each of the 2 rings", r"can tell only .* apart\. Lower max_frequency"


@pytest.mark.parametrize(("size", "options", "error", "message"), [
    *((3, {"max_frequency": given}, ValueError, RINGS) for given in (-1, (0, -1), (0, 1, 1), (0,))),
    *((size, {"max_frequency": given}, ValueError, PIXELS) for size, given in ((3, 4), (2, 2), (5, 9))),
    *((3, {"sigma": sigma}, ValueError, "expects sigma > 0 pixels") for sigma in (0.0, -0.5, math.nan)),
    *((size, {}, error, "kernel_size") for size, error in ((0, ValueError), (2.5, TypeError), ((3, 3), TypeError))),
])  # fmt: skip
def test_refuses_sizes_frequencies_and_widths_that_do_not_fit(size, options, error, message):
    refuses(error, f"HarmonicBasis .*{message}", HarmonicBasis, Cyclic(8), size, **options)
