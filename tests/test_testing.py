import pytest
import torch
from torch import nn

from orbitconv.bases import BilinearBasis, ExactBasis, FixedBasis
from orbitconv.groups import Cyclic, Dihedral
from orbitconv.nn import GroupConv2d, GroupPool, LiftingConv2d
from orbitconv.testing import assert_equivariant, assert_unitary
from raising import refuses
from references import unitary

C4, D4 = Cyclic(4), Dihedral(4)


def planar(size: int = 8) -> torch.Tensor:
    return torch.randn(2, 1, size, size, dtype=torch.float64)


@pytest.mark.parametrize("group", [C4, D4], ids=str)
def test_passes_exact_layers(group):
    lift = LiftingConv2d(1, 2, ExactBasis(group, 3), padding=1).double()
    assert_equivariant(lift, planar(), group)
    assert_equivariant(nn.Sequential(lift, GroupPool()), planar(), group)
    assert_equivariant(GroupConv2d(2, 3, ExactBasis(group, 3)).double(), lift(planar()).detach(), group)


def test_passes_the_exact_elements_of_a_finer_group():
    basis = unitary(Cyclic(8), 3)
    assert_equivariant(LiftingConv2d(1, 2, basis, padding=1).double(), planar(), Cyclic(8))


@pytest.mark.parametrize(("group", "message"), [
    (C4, r"not equivariant to element 1 of C4 \(90 degrees\)"),
    (Dihedral(1), r"element 1 of D1 \(mirror, then 0 deg"),
])  # fmt: skip
def test_fails_a_plain_convolution_and_names_the_element(group, message):
    with pytest.raises(AssertionError, match=message):
        assert_equivariant(nn.Conv2d(1, 2, 3, padding=1).double(), planar(), group)


def test_fails_a_stride_that_loses_the_centre():
    layer = LiftingConv2d(1, 2, ExactBasis(C4, 3), stride=2, padding=1).double()
    assert_equivariant(layer, planar(9), C4)
    refuses(AssertionError, "not equivariant", lambda: assert_equivariant(layer, planar(8), C4))


def test_fails_the_wrong_permutation_of_the_group_axis():
    lift = LiftingConv2d(1, 2, ExactBasis(C4, 3), padding=1).double()

    class Reversed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return lift(x).flip(2)

    refuses(AssertionError, "element 1 of C4", lambda: assert_equivariant(Reversed(), planar(), C4))


def test_other_angles_are_tested_when_named_with_a_tolerance(smooth):
    layer = LiftingConv2d(1, 2, BilinearBasis(Cyclic(8), 3), padding=1).double()
    with pytest.raises(AssertionError, match=r"element 3 of C8 \(135 degrees\)"):
        assert_equivariant(layer, smooth[:2], Cyclic(8), elements=[3])
    assert_equivariant(layer, smooth[:2], Cyclic(8), elements=[3], atol=100.0)


def test_refuses_to_test_nothing():
    with pytest.raises(ValueError, match="nothing to test: no element of C5 but the identity maps a 8x8 grid"):
        assert_equivariant(nn.Identity(), planar(), Cyclic(5))
    refuses(ValueError, "nothing to test", lambda: assert_equivariant(nn.Identity(), planar(), C4, elements=[]))
    assert_equivariant(nn.Identity(), planar(), Cyclic(1))


def test_refuses_other_ranks():
    with pytest.raises(ValueError, match=r"input of rank 4 or 5, got shape \(8, 8\)"):
        assert_equivariant(nn.Identity(), torch.zeros(8, 8), C4)


def test_unitary_bases_pass():
    assert_unitary(ExactBasis(D4, 3))
    assert_unitary(unitary(Cyclic(8), 3))


def test_bases_that_are_not_unitary_fail_and_name_the_element():
    with pytest.raises(AssertionError, match=r"not unitary: element \d of C8 has error 0\.\d+, allowed 1e-12"):
        assert_unitary(BilinearBasis(Cyclic(8), 3))
    atoms = ExactBasis(C4, 2)(torch.float64).clone()
    atoms[2, 0] *= 1.01
    refuses(AssertionError, "element 2 of C4", lambda: assert_unitary(FixedBasis(C4, 2, atoms)))
    assert_unitary(FixedBasis(C4, 2, atoms), atol=0.1)


def test_the_tolerance_is_relative_so_that_a_tiny_output_does_not_pass():
    layer = nn.Conv2d(1, 2, 3, padding=1).double()
    with torch.no_grad():
        layer.weight.mul_(1e-14)
        layer.bias.zero_()
    refuses(AssertionError, "not equivariant", lambda: assert_equivariant(layer, planar(), C4))


def test_a_failure_names_the_first_layer_that_does_not_turn():
    net = nn.Sequential(LiftingConv2d(1, 2, ExactBasis(C4, 3), padding=1), GroupPool(), nn.Conv2d(2, 2, 3)).double()
    with pytest.raises(AssertionError, match=r"first layer that does not turn is '2' \(Conv2d\), error 1?\.?0?\.\d"):
        assert_equivariant(net, planar(), C4)


def test_outputs_of_several_tensors_are_all_tested_or_one_is_chosen():
    class Two(nn.Module):
        def forward(self, x):
            return x, x.flip(-1)

    refuses(AssertionError, r"output\[1\] differs", lambda: assert_equivariant(Two(), planar(), C4))
    assert_equivariant(Two(), planar(), C4, output=0)
    refuses(TypeError, "expects an output of rank 2, 4 or 5", lambda: assert_equivariant(nn.Flatten(0), planar(), C4))


@pytest.mark.parametrize("x", [torch.zeros(0, 1, 8, 8), torch.zeros(2, 1, 8, 8, device="meta")])
def test_refuses_input_without_values(x):
    refuses(ValueError, "nothing would be tested", lambda: assert_equivariant(nn.Identity(), x, C4))


def test_one_way_of_reading_the_output_must_fit_every_element():
    class Changing(nn.Module):
        """Turns as planes the first time, as channels last the second."""

        calls = 0

        def forward(self, x):
            self.calls += 1
            self.first = x if self.calls == 1 else self.first
            return x if self.calls < 3 else self.first.movedim(-1, 1).rot90(2, (-2, -1)).movedim(1, -1)

    with pytest.raises(AssertionError, match="element 2 of C4"):
        assert_equivariant(Changing(), torch.randn(2, 4, 4, 4, dtype=torch.float64), C4, elements=[1, 2])
