import numpy as np
import pytest
import torch

from orbitconv.groups import Cyclic, Dihedral, act_features, act_image, act_regular, exact_elements
from references import transform, turn

D4 = Dihedral(4)


@pytest.mark.parametrize("size", [1, 4, 5])
@pytest.mark.parametrize("g", range(8))
def test_exact_action_is_rot90_after_flip(size, g):
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    assert torch.equal(act_image(x, D4, g), turn(x, g % 4, mirror=g >= 4))


@pytest.mark.parametrize("g", range(4))
def test_exact_action_on_rectangles(g):
    x = torch.randn(2, 3, 4, 7, dtype=torch.float64)
    assert torch.equal(act_image(x, Dihedral(2), g), turn(x, 2 * (g % 2), mirror=g >= 2))


@pytest.mark.parametrize("group", [Cyclic(4), D4, Cyclic(12), Dihedral(8)], ids=str)
def test_exact_actions_compose_like_elements(group):
    x = torch.randn(1, 2, 6, 6, dtype=torch.float64)
    exact = exact_elements(group, 6, 6)
    assert len(exact) == (4 if isinstance(group, Cyclic) else 8)
    for g in exact:
        for h in exact:
            twice = act_image(act_image(x, group, h), group, g)
            assert torch.equal(twice, act_image(x, group, int(group.product[g, h])))


@pytest.mark.parametrize("group", [Cyclic(8), Dihedral(3), Dihedral(8)], ids=str)
def test_other_elements_use_the_spline_as_scipy_does(group):
    x = torch.randn(2, 7, 9, dtype=torch.float64)
    for g in range(group.order):
        expected = np.stack([transform(image, group, g, order=5, mode="mirror") for image in x.numpy()])
        moved = act_image(x, group, g, order=5, padding_mode="reflect")
        np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("group", [Cyclic(5), Cyclic(8), Dihedral(4)], ids=str)
@pytest.mark.parametrize("dim", [0, 2])
def test_regular_representation_reads_at_the_quotient(group, dim):
    shape = [2, 3, 4]
    shape[dim] = group.order
    x = torch.randn(shape, dtype=torch.float64)
    for g in range(group.order):
        expected = torch.empty_like(x)
        for h in range(group.order):  # what stood at h stands at g h now
            expected.select(dim, int(group.product[g, h])).copy_(x.select(dim, h))
        assert torch.equal(act_regular(x, group, g, dim=dim), expected)


@pytest.mark.parametrize("n", [1, 4, 7])
def test_regular_representation_of_rotations_is_a_roll(n):
    x = torch.randn(2, 3, n, 2, 2)
    for g in range(n):
        assert torch.equal(act_regular(x, Cyclic(n), g), x.roll(g, dims=2))


def test_regular_representation_composes_like_elements():
    x = torch.randn(2, 3, 10, 1, 1)
    group = Dihedral(5)
    for g in range(10):
        for h in range(10):
            twice = act_regular(act_regular(x, group, h), group, g)
            assert torch.equal(twice, act_regular(x, group, int(group.product[g, h])))


@pytest.mark.parametrize("g", range(8))
def test_features_turn_and_permute(g):
    x = torch.randn(2, 3, 8, 5, 5, dtype=torch.float64)
    expected = torch.empty_like(x)
    for h in range(8):
        expected[:, :, int(D4.product[g, h])] = turn(x[:, :, h], g % 4, mirror=g >= 4)
    assert torch.equal(act_features(x, D4, g), expected)


@pytest.mark.parametrize("act", [act_image, act_regular, act_features])
@pytest.mark.parametrize("g", [-1, 4])
def test_refuses_elements_out_of_range(act, g):
    with pytest.raises(ValueError, match=rf"C4 has the elements 0 to 3, got {g}"):
        act(torch.zeros(1, 1, 4, 4, 4), Cyclic(4), g)


def test_refuses_another_group_axis():
    with pytest.raises(ValueError, match=r"group axis of length 4 \(C4\).*with 8 at dim 2"):
        act_regular(torch.zeros(1, 1, 8, 3, 3), Cyclic(4), 1)
