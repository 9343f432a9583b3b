"""A state is loaded into a network like the one it was saved from, and refused by one of another group or basis."""

import pytest
import torch

from orbitconv.bases import ExactBasis, HarmonicBasis, load_basis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import ResNet
from orbitconv.nn import GroupConv2d
from raising import refuses

PAIRS = [(Cyclic(8), Dihedral(4)), (Cyclic(12), Dihedral(6)), (Cyclic(16), Dihedral(8))]


@pytest.mark.parametrize(("saved", "built"), [*PAIRS, *(pair[::-1] for pair in PAIRS)], ids=str)
@pytest.mark.parametrize("assign", [False, True])
def test_a_state_of_another_group_is_refused(saved, built, assign):
    state = GroupConv2d(2, 2, HarmonicBasis(saved, 3)).state_dict()
    layer = GroupConv2d(2, 2, HarmonicBasis(built, 3))
    before = layer.basis.atoms.clone()
    with pytest.raises(RuntimeError, match=rf"HarmonicBasis\({built}, .* saved with HarmonicBasis\({saved}, "):
        layer.load_state_dict(state, assign=assign)
    assert torch.equal(layer.basis.atoms, before)


ALIKE = {  # atoms of one shape; a plain dictionary holds no name of the basis
    "one pixel": (ExactBasis(Cyclic(4), 1), ExactBasis(Dihedral(2), 1), "the state is one on C4, not D2"),
    "another family": (load_basis("spectral-c8-k3-d6"), HarmonicBasis(Cyclic(8), 3),
                       r"HarmonicBasis\(C8, .* saved with TabulatedBasis\(spectral, C8, .* atoms differ by"),
    "plain dictionary": (HarmonicBasis(Cyclic(8), 3), HarmonicBasis(Dihedral(4), 3),
                         r"HarmonicBasis\(D4, .* another basis: its atoms differ by \d"),
}  # fmt: skip


@pytest.mark.parametrize("name", ALIKE)
def test_another_basis_whose_atoms_have_the_same_shape_is_refused(name):
    saved, built, words = ALIKE[name]
    state = GroupConv2d(2, 2, saved).state_dict()
    state = dict(state.items()) if name == "plain dictionary" else state
    refuses(RuntimeError, words, GroupConv2d(2, 2, built).load_state_dict, state)


def test_networks_of_another_group_are_refused(tmp_path):
    torch.save(ResNet("spectral-c8-k3", width=4, depth=8).state_dict(), tmp_path / "state.pt")
    state, words = torch.load(tmp_path / "state.pt"), r"\(spectral, D4, .* saved with TabulatedBasis\(spectral, C8, "
    refuses(RuntimeError, words, ResNet("spectral-d4-k3", width=4, depth=8).load_state_dict, state)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_a_rounded_state_is_taken(dtype):
    layer = GroupConv2d(2, 2, load_basis("spectral-c8-k3"))
    state = {name: value.to(dtype) for name, value in layer.state_dict().items()}
    assert GroupConv2d(2, 2, load_basis("spectral-c8-k3")).load_state_dict(state).missing_keys == []


@pytest.mark.parametrize("assign", [False, True])
def test_a_layer_without_atoms_takes_them_over(assign):
    saved = GroupConv2d(2, 2, HarmonicBasis(Cyclic(8), 3))
    layer = GroupConv2d(2, 2, load_basis("spectral-c8-k3")).to("meta")
    if not assign:
        layer.to_empty(device="cpu")
    layer.load_state_dict(saved.state_dict(), assign=assign)
    x = torch.randn(1, 2, 8, 5, 5)
    assert torch.equal(layer(x), saved(x))
