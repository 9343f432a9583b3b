"""What has no counterpart is refused, by its name and place."""

import copy
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from orbitconv.interop import from_e2cnn, from_escnn, from_groupy, to_escnn, to_groupy
from orbitconv.nn import LiftingConv2d
from raising import refuses
from recorded_networks import FOLDER, replay


@pytest.fixture
def network(monkeypatch):
    """The recorded D4 network of escnn."""
    recorded = replay(Path(FOLDER, "escnn-d4.npz"))
    monkeypatch.setitem(sys.modules, "escnn", types.SimpleNamespace(__version__=recorded.version))
    return recorded.module


def kind(name, module="escnn.nn.modules.other", base=nn.Module):
    return type(name, (base,), {"__module__": module})()


def test_other_versions_are_refused(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "escnn", types.SimpleNamespace(__version__="1.0.2"))
    refuses(ValueError, r"from_escnn knows escnn 1\.0\.11, got a network of escnn 1\.0\.2", from_escnn, network)


def test_what_is_no_network_of_theirs_is_refused(network):
    refuses(TypeError, "from_escnn expects a network of escnn, got str", from_escnn, "weights.pt")
    with pytest.raises(ValueError, match=r"from_escnn cannot convert Linear \(the module itself\): it holds no layer"):
        from_escnn(nn.Linear(2, 2))
    refuses(ValueError, r"from_e2cnn cannot convert Sequential .*no layer of e2cnn", from_e2cnn, network)


def test_layers_without_counterpart_are_named(network):
    network[0].add_module("5", kind("NormNonLinearity"))
    refuses(ValueError, r"NormNonLinearity \(at 0\.5\): this layer of escnn has no counterpart", from_escnn, network)


def test_classes_of_ones_own_are_named(network):
    mine = kind("SteerableCNN", "__main__")
    mine.block = network[0].get_submodule("1")
    with pytest.raises(ValueError, match=r"SteerableCNN \(at 0\): it is a class of your own around layers of escnn"):
        from_escnn(nn.Sequential(mine))
    heir = kind("MyConv", "__main__", type(network[0].get_submodule("1")))
    refuses(ValueError, r"MyConv \(at 0\): it is a class of your own", lambda: from_escnn(nn.Sequential(heir)))


def test_plain_layers_on_the_group_are_named(network):
    with pytest.raises(ValueError, match=r"Flatten \(at 1\): it is a plain torch layer, and its input is on the group"):
        from_escnn(nn.Sequential(network[0].get_submodule("1"), nn.Flatten()))


def convolution(network):
    return network[0].get_submodule("5")


def test_fields_without_counterpart_are_named(network):
    layer = convolution(network)
    quotient = copy.deepcopy(layer.out_type.representations[0])
    quotient.name, quotient.matrices = "quotient[2]", {e: np.array(m)[:4, :4] for e, m in quotient.matrices.items()}
    layer.out_type = types.SimpleNamespace(gspace=layer.out_type.gspace, representations=[quotient])
    refuses(
        ValueError, r"R2Conv \(at 0\.5\): its fields of the kind 'quotient\[2\]', of size 4 for D4", from_escnn, network
    )


def test_a_permutation_that_is_not_regular_is_refused(network):
    layer = convolution(network)
    odd = copy.deepcopy(layer.out_type.representations[0])
    odd.name, odd.matrices = "twisted", {e: np.array(m)[::-1, ::-1] for e, m in odd.matrices.items()}
    odd.matrices[1] = odd.matrices[3]
    layer.out_type = types.SimpleNamespace(gspace=layer.out_type.gspace, representations=[odd])
    refuses(ValueError, r"kind 'twisted', of size 8 for D4, have no counterpart", from_escnn, network)


def test_mixed_fields_are_named(network):
    layer, first = convolution(network), network[0].get_submodule("1")
    both = [layer.in_type.representations[0], first.in_type.representations[0]]
    layer.in_type = types.SimpleNamespace(gspace=layer.in_type.gspace, representations=both)
    refuses(ValueError, r"\(at 0\.5\): its fields are of several kinds \(irrep_0,0, regular\)", from_escnn, network)


def test_groups_without_counterpart_are_named(network):
    space = network[0].get_submodule("1").in_type.gspace
    space.fibergroup.order = lambda: -1
    space.name = "SO(2)_on_R2"
    refuses(ValueError, r"\(at 0\.0\): SO\(2\)_on_R2 is no finite group of the plane", from_escnn, network)


def test_other_mirror_axes_are_named(network):
    space, turn = network[0].get_submodule("1").in_type.gspace, np.deg2rad(10)
    c, s = np.cos(turn), np.sin(turn)
    given, turned = space.basespace_action, np.array([[c, -s], [s, c]])
    space.basespace_action = lambda element: turned @ given(element) @ turned.T
    refuses(ValueError, r"the elements of D4_on_R2.* are not those of D4, whose mirrors", from_escnn, network)


def test_kernels_that_turn_the_other_way_are_refused(network):
    basis = convolution(network).basisexpansion
    block = next(basis.children())
    block.sampled_basis = block.sampled_basis.unflatten(-1, (3, 3)).mT.flatten(-2)
    convolution(network).train()
    refuses(ValueError, r"R2Conv \(at 0\.5\): element 1 of D4 does not move the pixels", from_escnn, network)


def test_a_filter_that_is_not_of_the_weights_is_refused(network):
    with torch.no_grad():
        convolution(network).weights.mul_(2)
    refuses(ValueError, r"\(at 0\.5\): the filter that it keeps .*Call train\(\) and eval\(\)", from_escnn, network)
    convolution(network).train()
    from_escnn(network)


def test_networks_that_do_not_fit_do_not_go_back(network):
    ours = from_escnn(network)
    with pytest.raises(ValueError, match=r"Sequential \(the module itself\): its layers are 0, those of .* given 0, 1"):
        to_escnn(ours, network[:1])
    ours[0][5] = from_escnn(network[0].get_submodule("1"))
    with pytest.raises(
        ValueError,
        match=r"R2Conv \(at 0\.5\): the layer given is LiftingConv2d 3 to 2, D4, 5 .*GroupConv2d 2 to 3, D4, 3 was",
    ):
        to_escnn(ours, network)


def test_filters_outside_their_basis_do_not_go_back(network):
    ours = from_escnn(network)
    ours[0][1] = LiftingConv2d(3, 2, "spectral-d4-k5", padding=2, bias=False)
    refuses(ValueError, r"R2Conv \(at 0\.1\): its kernels leave out 0\.\d+ of the norm", to_escnn, ours, network)


@pytest.mark.parametrize(("shape", "group", "words"), [
    ((2, 1, 4, 3, 3), "p4m", r"filters of p4m of shape \(out, in, 1 or 8, k, k\), got \(2, 1, 4, 3, 3\)"),
    ((2, 4, 3, 3), "p4", r"filters of p4 of shape \(out, in, 1 or 4, k, k\), got \(2, 4, 3, 3\)"),
    ((2, 1, 4, 3, 5), "p4", r"got \(2, 1, 4, 3, 5\)"),
    ((2, 1, 6, 3, 3), "p6", "expects the group 'p4' or 'p4m', got 'p6'"),
])  # fmt: skip
def test_filters_of_other_groups_are_refused(shape, group, words):
    refuses(ValueError, words, from_groupy, torch.zeros(shape), group)


def test_biases_of_another_length_are_refused():
    with pytest.raises(ValueError, match=r"a bias of 2 numbers, got \(3,\)"):
        from_groupy(torch.zeros(2, 1, 4, 3, 3), "p4", torch.zeros(3))


def test_only_pixels_go_back_to_groupy():
    refuses(TypeError, "ExactBasis, got ", lambda: to_groupy(LiftingConv2d(1, 1, "spectral-c4-k3")))
    refuses(ValueError, "square kernels on C4 or D4", lambda: to_groupy(LiftingConv2d(1, 1, "exact-c2-k3")))
