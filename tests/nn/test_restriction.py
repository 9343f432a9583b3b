import pytest
import torch

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral, act_features, act_image, embed
from orbitconv.nn import GroupConv2d, GroupRestriction, LiftingConv2d
from raising import refuses

PAIRS = [(Cyclic(4), Cyclic(8)), (Cyclic(4), Dihedral(4)), (Dihedral(2), Dihedral(4)), (Cyclic(8), Dihedral(8))]


@pytest.mark.parametrize(("subgroup", "group"), PAIRS, ids=str)
def test_elements_of_the_subgroup_act_before_as_after(subgroup, group):
    layer = GroupRestriction(group, subgroup).double()
    x = torch.randn(2, 3, group.order, 6, 6, dtype=torch.float64)
    assert sorted(layer(x).flatten().tolist()) == sorted(x.flatten().tolist())
    for h, g in enumerate(embed(subgroup, group)):
        expected = act_features(layer(x), subgroup, h)
        torch.testing.assert_close(layer(act_features(x, group, int(g))), expected, rtol=0, atol=1e-12)


def test_network_restricted_half_way_keeps_the_subgroup_and_loses_the_rest():
    big, small = Dihedral(4), Cyclic(4)
    network = torch.nn.Sequential(
        LiftingConv2d(1, 2, ExactBasis(big, 3), padding=1), torch.nn.ReLU(), GroupRestriction(big, small),
        GroupConv2d(4, 3, ExactBasis(small, 3), padding=1),
    ).double()  # fmt: skip
    x = torch.randn(2, 1, 7, 7, dtype=torch.float64)
    with torch.no_grad():
        for h, g in enumerate(embed(small, big)):
            expected = act_features(network(x), small, h)
            torch.testing.assert_close(network(act_image(x, big, int(g))), expected, rtol=0, atol=1e-12)
        mirrored = network(act_image(x, big, 4)).amax((2, 3, 4))
        assert (mirrored - network(x).amax((2, 3, 4))).abs().max() > 1e-3


def test_planes_and_other_groups_are_refused():
    layer = GroupRestriction(Cyclic(8), Cyclic(4))
    refuses(ValueError, "group axis of length 8", layer, torch.randn(2, 3, 4, 5, 5))
    refuses(ValueError, "expects input of shape", layer, torch.randn(2, 3, 5, 5))
    refuses(ValueError, "D4 is not part of C8", GroupRestriction, Cyclic(8), Dihedral(4))


def test_meta_layer_comes_back_with_its_table():
    layer = GroupRestriction(Dihedral(4), Cyclic(4))
    there = GroupRestriction(Dihedral(4), Cyclic(4)).to("meta").to_empty(device="cpu")
    x = torch.randn(1, 2, 8, 3, 3)
    assert torch.equal(there(x), layer(x))
