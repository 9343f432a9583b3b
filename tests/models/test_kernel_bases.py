"""The bases of a network by kernel size."""

import pytest

from orbitconv.bases import ExactBasis, LearnedBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.models import P4CNN, AllCNNC, Layers

BASIS = ExactBasis(Cyclic(4), 3)


def test_one_basis_serves_all_layers_of_its_size():
    basis = LearnedBasis(Cyclic(4), 5)
    layers = Layers("Mine", basis)
    assert layers.kernel_size == (5, 5)
    assert layers.bases.of(5) is layers.conv(1, 1).basis is layers.lift(1, 1).basis is basis
    assert layers.bases.of(1) is layers.bases.of((1, 1))
    assert layers.bases.of(1).group == layers.group == Cyclic(4)
    assert Layers("Mine", basis, also=(1,)).bases.of(1).kernel_size == (1, 1)


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


def test_names_of_bases_that_come_with_the_package():
    layers = Layers("Mine", "spectral-c8-k5-d11")
    assert (layers.bases.of(5).num_atoms, layers.kernel_size, str(layers.group)) == (11, (5, 5), "C8")


def test_bases_on_meta_hold_no_numbers():
    bases = Layers("Mine", BASIS).bases.on_meta()
    assert bases(3).atoms.is_meta
    assert not BASIS.atoms.is_meta
    assert Layers("Mine", None).bases.on_meta() is None


def test_a_kernel_size_that_is_not_there_is_refused_with_those_that_are_needed():
    with pytest.raises(ValueError, match=r"P4CNN needs kernels of 3x3 and 4x4, got a basis of 3x3. Make all kernels "
                       r"of one size.*last_kernel_size.*, such as lambda k: ExactBasis\(Cyclic\(4\), k\)"):  # fmt: skip
        P4CNN(BASIS)
    with pytest.raises(ValueError, match=r"AllCNNC needs kernels of 5x5, got a basis of 3x3"):
        AllCNNC(BASIS, kernel_size=5)
    with pytest.raises(ValueError, match=r"needs kernels of 3x3, got a basis of 5x5. The function returned another"):
        AllCNNC(lambda _: ExactBasis(Cyclic(4), 5))
    with pytest.raises(ValueError, match=r"Mine has no basis of 7x7 pixels: it needs 3x3"):
        Layers("Mine", BASIS).conv(1, 1, 7)


def test_two_groups_are_refused():
    groups = {3: Cyclic(4), 4: Dihedral(4)}
    with pytest.raises(ValueError, match="P4CNN expects bases of one group, got C4 and D4"):
        P4CNN(lambda k: ExactBasis(groups[k], k))


def test_what_is_no_basis_is_refused():
    with pytest.raises(TypeError, match=r"a FilterBasis, the name of one, a function .* got Cyclic"):
        AllCNNC(Cyclic(4))
    with pytest.raises(TypeError, match="returns a FilterBasis for a kernel size, got int for 3x3"):
        AllCNNC(lambda k: k)
    with pytest.raises(ValueError, match="no basis named 'spectral-c8-k4'"):
        AllCNNC("spectral-c8-k4")
