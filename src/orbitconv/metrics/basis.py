"""Errors of a filter basis. Mixing or scaling its atoms changes none of them."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.precision import without_autocast
from orbitconv.bases import FilterBasis
from orbitconv.bases.orbits import support_of
from orbitconv.bases.second_moments import SecondMoments, lattice_of

# Directions whose mean Gram eigenvalue is below this share of the largest are dropped.
_RANK_TOLERANCE = 1e-6


class NormalizedAtoms(NamedTuple):
    """Flat atoms in float64, orthonormal on average over the group, and the number of directions kept.

    They are `G^(-1/2) B_g` with the mean Gram matrix `G = mean over g of B_g B_g^T`.
    """

    atoms: Float[Tensor, "g d p"]
    rank: int


@without_autocast
def normalize_atoms(basis: FilterBasis) -> NormalizedAtoms:
    """Atoms in the coordinates in which every error is measured."""
    flat = basis(torch.float64).detach().flatten(2)
    values, vectors = torch.linalg.eigh(torch.einsum("gdp,gep->de", flat, flat) / len(flat))
    keep = values > _RANK_TOLERANCE * values[-1]
    whitening = vectors[:, keep] / values[keep].sqrt()
    return NormalizedAtoms(torch.einsum("de,gdp->gep", whitening, flat), int(keep.sum()))


@without_autocast
def unitarity_error(basis: FilterBasis) -> Float[Tensor, " g"]:
    """How far each element is from keeping inner products: ||A A^T - I||_F / sqrt(D), no unit, float64."""
    atoms, rank = normalize_atoms(basis)
    gram = atoms @ atoms.mT
    return torch.linalg.matrix_norm(gram - torch.eye(rank, dtype=gram.dtype, device=gram.device)) / rank**0.5


@without_autocast
def group_law_error(basis: FilterBasis) -> Float[Tensor, "g h"]:
    """How far the maps `psi_g = M_g psi_0` are from obeying `M_g M_h = M_gh`: Frobenius norm over sqrt(P).

    One error for each pair of elements, no unit, float64; for a complete basis, as only there the atoms define `M_g`.

    Raises:
        ValueError: If the basis is not complete.
    """
    support = torch.from_numpy(support_of(basis.kernel_size, basis.lattice))
    flat = basis(torch.float64).detach().flatten(2)[:, :, support]
    pixels = flat.shape[2]
    if flat.shape[1] != pixels or torch.linalg.matrix_rank(flat[0]) < pixels:
        raise ValueError(
            f"group_law_error expects a complete basis, {pixels} independent atoms for {pixels} pixels, got "
            f"{flat.shape[1]} atoms. See unitarity_error and basis_equivariance_error for smaller ones."
        )
    maps = torch.linalg.solve(flat[0], flat).mT
    product = torch.as_tensor(basis.group.product, device=maps.device)
    return torch.linalg.matrix_norm(maps[:, None] @ maps - maps[product]) / pixels**0.5


@without_autocast
def condition_number(basis: FilterBasis) -> Float[Tensor, " g"]:
    """Largest over smallest singular value of the normalized atoms at each element, no unit, float64; 1 if unitary."""
    return torch.linalg.cond(normalize_atoms(basis).atoms)


@without_autocast
def basis_equivariance_error(
    basis: FilterBasis, moments: SecondMoments, *, zero_mean: bool = False
) -> Float[Tensor, " g"]:
    """How far filtering the turned image is from turning the filtered image, over real images.

    `sqrt( E ||(T_g f) * psi_g - T_g (f * psi_0)||^2 / E ||T_g (f * psi_0)||^2 )`, the mean taken over images, points
    and random filters of the span.

    Args:
        basis: The basis.
        moments: Second moments of images that were not used to fit it, for its group and window, from
            `orbitconv.learn.measure_moments`.
        zero_mean: Take only filters whose pixels sum to zero, which do not see brightness.

    Returns:
        One error for each group element, no unit, float64. State `num_atoms` beside it: a basis of few, smooth
        atoms has a small error for that reason alone. NaN if `zero_mean` leaves no filter (a single atom).

    Raises:
        ValueError: If the moments are for another group or window.
    """
    expected = basis.group, basis.kernel_size, basis.lattice
    found = moments.group, moments.kernel_size, lattice_of(moments)
    if found != expected:
        raise ValueError(
            f"basis_equivariance_error expects moments for {expected[0]} and {expected[1]} on the {expected[2]} "
            f"lattice, got moments for {found[0]} and {found[1]} on the {found[2]} lattice."
        )
    patches, cross, responses = moments.patches, moments.cross, moments.responses
    atoms = normalize_atoms(basis).atoms.to(cross)
    if zero_mean:
        sums = atoms[0].sum(1)
        direction = sums / torch.linalg.vector_norm(sums).clamp(min=1e-12)
        atoms = atoms - direction[:, None] * (direction @ atoms)[:, None]
    identity = atoms[:1]

    def energy(left: Tensor, matrix: Tensor, right: Tensor) -> Float[Tensor, " g"]:
        return ((left @ matrix) * right).sum((1, 2))

    turned = energy(identity, responses, identity)
    mixed = energy(atoms, cross, identity)
    filtered = energy(atoms, patches, atoms)
    return ((filtered - 2 * mixed + turned) / turned).clamp(min=0).sqrt()
