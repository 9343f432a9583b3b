"""Their steerable kernels as coefficients in a filter basis, and back.

Their layer samples a basis of kernels `S[b, a, c](x)`, from plane c of an input field to plane a of an output field,
and sums it with its weights. An equivariant kernel between regular fields is one function on the group, turned:
`K[g, h](x) = L_g k[g^-1 h](x)` with `k[m] = K[0, m]`, as ours is. So the functions `k[m]` of all their kernels, with
their turned copies, are the atoms of a filter basis here, and a kernel is its coefficients `c[m, d]` in them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from orbitconv.bases import TabulatedBasis
from orbitconv.bases.orbits import complete_orbit
from orbitconv.groups import exact_elements, grid_permutation
from orbitconv.interop.fields import Fields
from orbitconv.interop.refusal import Place

_TOLERANCE = 1e-4
"""Their kernels come in float32, and are made of sums of many numbers."""


@dataclass(frozen=True)
class Kernels:
    """The kernels, in their order of the group, that one layer of theirs combines, from one field to one field.

    The side is in pixels.
    """

    sampled: Float[np.ndarray, "b a c p"]
    inputs: Fields
    outputs: Fields
    side: int

    def orbits(self) -> Float[np.ndarray, "b m g p"]:
        """The functions k[m] of every kernel at every element of the group, in our order: `L_g k[m] = K[g, g m]`.

        A kernel to a trivial field is that of all elements at once: `L_g k[m] = K[0, g m]`.
        """
        group = self.outputs.group
        rows = self.outputs.order if self.outputs.is_regular else np.zeros(group.order, dtype=int)
        ordered = self.sampled[:, rows]
        if not self.inputs.is_regular:
            return ordered[:, None, :, 0]
        columns = self.inputs.order[group.product]  # [g, m]: where g m stands
        g = np.arange(group.order)
        return np.stack([ordered[:, g, columns[:, m]] for m in range(group.order)], axis=1)


def read_basis(place: Place, kernels: Kernels) -> TabulatedBasis:
    """The filter basis that their kernels span.

    Where it can, it takes their own kernels from a trivial field, which are circular harmonics on rings. Quarter turns
    and mirrors of the grid are exact here, to the last bit.
    """
    group, side, orbits = kernels.outputs.group, kernels.side, kernels.orbits()
    scale = np.abs(orbits).max()
    for g in exact_elements(group, side, side):
        moved = orbits[:, :, 0][..., grid_permutation(group, g, side, side)]
        if np.abs(orbits[:, :, g] - moved).max() > _TOLERANCE * scale:
            raise place.refusal(
                f"element {g} of {group} does not move the pixels of its kernels as the grid does. Either its version "
                f"of {place.library} orders or turns elements in another way, or its kernels are those of another "
                "mirror axis: e2cnn 0.2.3 gives all networks of a process those of the first axis."
            )
    span = _span(orbits.sum(1).reshape(len(orbits), -1), orbits.reshape(-1, orbits[0, 0].size))
    atoms = span.reshape(len(span), group.order, -1)
    whole = complete_orbit(group, (side, side), lambda g: atoms[:, g], normalize=True)
    described = {"family": f"steerable ({place.library})", "source": "Weiler & Cesa (2019)"}
    return TabulatedBasis(group, (side, side), torch.from_numpy(whole), described)


def _span(first: Float[np.ndarray, "b n"], every: Float[np.ndarray, "k n"]) -> Float[np.ndarray, "d n"]:
    """Independent rows that span `every`: rows of `first` as far as they are independent, then what they leave out."""
    smallest = _TOLERANCE * np.linalg.norm(every, axis=1).max()
    kept = np.empty((0, every.shape[1]))  # orthogonal
    for row in first:
        rest = row - row @ kept.T / (kept**2).sum(1) @ kept
        if np.linalg.norm(rest) > smallest:
            kept = np.vstack([kept, rest])
    every = every - every @ kept.T / (kept**2).sum(1) @ kept
    if np.linalg.norm(every, axis=1).max() <= smallest:
        return kept
    _, sizes, rows = np.linalg.svd(every, full_matrices=False)
    return np.vstack([kept, rows[sizes > smallest]])


def read_coefficients(
    kernels: Kernels, weights: Float[np.ndarray, " w"], basis: TabulatedBasis
) -> Float[np.ndarray, "o i m d"]:
    """The coefficients of the kernels that their weights combine, of shape (out_channels, in_channels, |G| or 1, D)."""
    orbits, atoms = kernels.orbits(), basis.atoms.flatten(2).numpy()
    # The atoms are orthonormal on average over the group.
    coefficients = np.einsum("bmgp,gdp->bmd", orbits, atoms) / len(atoms)
    return np.einsum("oib,bmd->oimd", weights.reshape(kernels.outputs.count, -1, len(orbits)), coefficients)


def solve_weights(place: Place, kernels: Kernels, filters: Float[np.ndarray, "o i a c p"]) -> Float[np.ndarray, " w"]:
    """Their weights for given kernels, by least squares."""
    flat = kernels.sampled.reshape(len(kernels.sampled), -1)
    wanted = filters.reshape(*filters.shape[:2], -1)
    weights = wanted @ np.linalg.pinv(flat)
    missed = np.linalg.norm(weights @ flat - wanted) / max(np.linalg.norm(wanted), np.finfo(float).tiny)
    if missed > _TOLERANCE:
        raise place.refusal(
            f"its kernels leave out {missed:.2g} of the norm of the filters given. Give it the settings of the layer "
            "that was converted."
        )
    return weights.ravel()
