"""The bases of a network by kernel size."""

import pytest
import torch

from orbitconv.bases import ExactBasis, load_basis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import P4CNN, AllCNNC, Layers
from orbitconv.nn import BasisConv2d
from raising import refuses

BASIS = ExactBasis(Cyclic(4), 3)


def test_a_function_is_asked_once_for_each_size():
    asked = []

    def bases(kernel_size):
        asked.append(kernel_size)
        return ExactBasis(Cyclic(2), kernel_size)

    layers = Layers("Mine", bases, (3, 5), also=(7,))
    assert layers.bases.of((3, 5)).kernel_size == (3, 5)
    assert layers.conv(1, 1).padding == (1, 1, 2, 2)
    assert layers.conv(1, 1, 7).kernel_size == (7, 7)
    assert asked == [(3, 5), 7]


@pytest.mark.parametrize(("name", "kernel_size", "main", "atoms"), [
    ("spectral-c8-k5-d17", None, 5, 17),
    ("spectral-c8-k5", 5, 5, 11),
    ("spectral-c8", None, 3, 6),
    ("harmonic-c8", 5, 5, 11),
    ("exact-c4", None, 3, 9),
])  # fmt: skip
def test_a_name_stands_for_its_family_at_every_kernel_size(name, kernel_size, main, atoms):
    layers = Layers("Mine", name, kernel_size, also=(7,))
    assert (layers.kernel_size, layers.bases.of(main).num_atoms) == ((main, main), atoms)
    other = layers.bases.of(7)
    assert torch.equal(other.atoms, load_basis(f"{name.split('-')[0]}-{layers.group}-k7").atoms)
    assert layers.bases.of(1).num_atoms == 1


def test_p4cnn_takes_its_last_even_kernel_from_the_family_of_the_name():
    sizes = {layer.kernel_size for layer in P4CNN("exact-c4-k3").modules() if isinstance(layer, BasisConv2d)}
    assert sizes == {(3, 3), (4, 4)}
    with pytest.raises(ValueError, match=r"P4CNN needs kernels of 3x3 and 4x4, .* No spectral basis of C8 with 4x4"):
        P4CNN("spectral-c8-k3")


def test_two_kernel_sizes_are_refused():
    for size in (3, (3, 5)):
        with pytest.raises(
            ValueError, match="Mine expects one kernel size, got the basis 'exact-c4-k5' and kernel_size"
        ):
            Layers("Mine", "exact-c4-k5", size)


def test_a_kernel_size_that_is_not_there_is_refused_with_those_that_are_needed():
    with pytest.raises(ValueError, match=r"P4CNN needs kernels of 3x3 and 4x4, got a basis of 3x3. Make all kernels "
                       r"of one size.*last_kernel_size.*, such as lambda k: ExactBasis\(Cyclic\(4\), k\)"):  # fmt: skip
        P4CNN(BASIS)
    refuses(ValueError, r"AllCNNC needs kernels of 5x5, got a basis of 3x3", AllCNNC, BASIS, kernel_size=5)
    with pytest.raises(ValueError, match=r"needs kernels of 3x3, got a basis of 5x5. The function returned another"):
        AllCNNC(lambda _: ExactBasis(Cyclic(4), 5))
    refuses(ValueError, r"Mine has no basis of 7x7 pixels: it needs 3x3", lambda: Layers("Mine", BASIS).conv(1, 1, 7))


def test_two_groups_are_refused():
    groups = {3: Cyclic(4), 4: Dihedral(4)}
    refuses(ValueError, "P4CNN expects bases of one group, got C4 and D4", P4CNN, lambda k: ExactBasis(groups[k], k))


def test_what_is_no_basis_is_refused():
    refuses(TypeError, r"a FilterBasis, the name of one, a function .* got Cyclic", AllCNNC, Cyclic(4))
    refuses(TypeError, "returns a FilterBasis for a kernel size, got int for 3x3", AllCNNC, lambda k: k)
    with pytest.raises(ValueError, match=r"AllCNNC needs kernels of 4x4, got the name 'spectral-c8-k4'\. No spectral"):
        AllCNNC("spectral-c8-k4")
