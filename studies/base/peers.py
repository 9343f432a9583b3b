"""The filter bases of escnn and e2cnn, for comparison: optional, and skipped with a note where they do not run."""

import contextlib
import io
import time
import warnings
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.optional import import_optional
from orbitconv.bases import FilterBasis, FixedBasis
from orbitconv.groups import Group, exact_elements, grid_permutation

# For each library the functions that give the plane with rotations only, and with mirrors too.
PEERS = {"escnn": ("rot2dOnR2", "flipRot2dOnR2"), "e2cnn": ("Rot2dOnR2", "FlipRot2dOnR2")}

_NOT_INSTALLED = "not installed"

# The peers compute in float32.
_TOLERANCE = 1e-5


@final
class PeerBasis(FixedBasis):
    """What `R2Conv` of a peer, with its default settings, combines into filters from the plane to the group.

    The atoms are the peer's own, sampled and scaled by the peer, one for each weight of a layer with one input and one
    output field: `LiftingConv2d` with the peer's weights as coefficients gives what the peer's layer gives. Both
    peers use our conventions: output g of a regular field holds the filter transformed by element g, and angles count
    counter-clockwise as displayed.

    Source: Weiler & Cesa (2019), General E(2)-equivariant steerable CNNs.
    """

    def __init__(self, library: str, group: Group, kernel_size: int) -> None:
        if library not in PEERS:
            raise ValueError(f"PeerBasis expects a library out of {', '.join(PEERS)}, got {library!r}.")
        with quiet():
            atoms = _sample(library, *import_peer(library, "PeerBasis"), group, kernel_size)
        _check_exact_moves(library, group, atoms)
        super().__init__(group, kernel_size, atoms)
        self.library = library


def peer_bases(group: Group, kernel_size: int) -> tuple[list[tuple[str, str, FilterBasis, float]], dict[str, str]]:
    """The bases of every peer that is installed and runs."""
    built: list[tuple[str, str, FilterBasis, float]] = []
    skipped: dict[str, str] = {}
    for library in PEERS:
        try:
            with quiet():
                import_peer(library, "PeerBasis")
        except Exception as error:
            skipped[library] = reason_of(error, library)
            continue
        start = time.perf_counter()
        try:
            built.append((library, "none", PeerBasis(library, group, kernel_size), time.perf_counter() - start))
        except Exception as error:
            skipped[f"{library}, {group}, {kernel_size}x{kernel_size}"] = reason_of(error, library)
    return built, skipped


def describe_skipped(skipped: Mapping[str, str]) -> str:
    """One line that names the skipped peers, the reasons, and how to install them."""
    names = "; ".join(f"{name} ({reason})" for name, reason in skipped.items())
    hint = " To compare with them, make an environment for them with sh scripts/setup_peers.sh."
    return f"Skipped: {names}.{hint if _NOT_INSTALLED in skipped.values() else ''}"


def import_peer(library: str, owner: str) -> tuple[ModuleType, ModuleType]:
    """The peer's modules for groups that act on the plane, and for layers."""
    gspaces, layers = (import_optional(f"{library}.{name}", "peers", owner) for name in ("gspaces", "nn"))
    return gspaces, layers


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress deprecation warnings and prints of the peers."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield


def _sample(
    library: str, gspaces: ModuleType, layers: ModuleType, group: Group, kernel_size: int
) -> Float[Tensor, "g d ky kx"]:
    """The filters of the peer's layer for each of its weights."""
    plane = getattr(gspaces, PEERS[library][int(group.mirrors.any())])(group.num_rotations)
    fields = [layers.FieldType(plane, [kind]) for kind in (plane.trivial_repr, plane.regular_repr)]
    layer = layers.R2Conv(*fields, kernel_size, bias=False, initialize=False)
    one_each = torch.eye(layer.weights.numel(), dtype=layer.weights.dtype)
    with torch.no_grad():
        filters = [layer.basisexpansion(weights) for weights in one_each]
    return torch.stack(filters, dim=1).reshape(group.order, len(one_each), kernel_size, kernel_size)


def _check_exact_moves(library: str, group: Group, atoms: Float[Tensor, "g d ky kx"]) -> None:
    """Refuse atoms that are linearly dependent, or whose order or rotation convention differs from ours."""
    height, width = atoms.shape[2:]
    flat = atoms.double().flatten(2).numpy()
    if np.linalg.matrix_rank(flat[0], tol=_TOLERANCE * np.linalg.norm(flat[0], 2)) < flat.shape[1]:
        raise ValueError(f"PeerBasis expects linearly independent atoms, got dependent ones from {library}.")
    for g in exact_elements(group, height, width):
        difference = np.abs(flat[g] - flat[0][:, grid_permutation(group, g, height, width)]).max()
        if difference > _TOLERANCE:
            raise ValueError(
                f"PeerBasis expects element {g} of {group} to move the pixels of {library}'s atoms as the grid does, "
                f"got atoms that differ by {difference:.2g}. This version may order or turn elements in another way."
            )


def reason_of(error: Exception, library: str) -> str:
    """Why a peer was skipped."""
    if isinstance(error, ModuleNotFoundError) and error.name == library:
        return _NOT_INSTALLED
    return str(error).strip().partition("\n")[0] or type(error).__name__
