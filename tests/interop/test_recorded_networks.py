"""Recorded networks of escnn and e2cnn give here what they gave there; `scripts/record_peers.py` recorded them."""

import copy
import functools
import pickle
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from orbitconv import interop
from orbitconv.bases import FilterBasis
from orbitconv.groups import Cyclic, Dihedral, act_features, act_image, exact_elements
from orbitconv.nn import GroupConv2d, LiftingConv2d, fold
from peer_networks import FIRST
from recorded_networks import FOLDER, replay

GROUPS = {"c4": Cyclic(4), "c8": Cyclic(8), "d4": Dihedral(4), "d4-axis-0": Dihedral(4), "d8": Dihedral(8),
          "d1": Dihedral(1)}  # fmt: skip
NAMES = [f"{library}-{group}" for library in ("escnn", "e2cnn") for group in GROUPS]


@functools.cache
def recording(name):
    return replay(Path(FOLDER, f"{name}.npz"))


@pytest.fixture(params=NAMES)
def recorded(request, monkeypatch):
    """A stand-in of the network, in its library's version."""
    found = copy.deepcopy(recording(request.param))
    monkeypatch.setitem(sys.modules, found.library, types.SimpleNamespace(__version__=found.version))
    found.group = GROUPS[request.param.partition("-")[2]]
    found.axis_is_horizontal = request.param.endswith("axis-0")
    found.convert = getattr(interop, f"from_{found.library}")
    found.write_back = getattr(interop, f"to_{found.library}")
    return found


some_of_each = pytest.mark.parametrize(
    "recorded", ["escnn-c8", "escnn-d4-axis-0", "e2cnn-c4", "e2cnn-d4"], indirect=True
)


def first_layers(recorded):
    """Their layers that end on the group, and the head of torch's left out."""
    return nn.Sequential(*list(recorded.module[0].children())[:FIRST])


def test_outputs_are_theirs_from_coefficients_in_a_basis_of_ours(recorded):
    ours = recorded.convert(recorded.module)
    with torch.no_grad():
        torch.testing.assert_close(ours(recorded.images), recorded.outputs, rtol=0, atol=1e-5)
    convolutions = [m for m in ours.modules() if isinstance(m, LiftingConv2d | GroupConv2d)]
    assert len(convolutions) == 6
    assert all(isinstance(m.basis, FilterBasis) and m.group == recorded.group for m in convolutions)
    # Rings of radius 0, 1 (and 2), with frequency 0, up to 2 (and up to 2): 1 + 5 (+ 5) atoms.
    assert [m.basis.num_atoms for m in convolutions][:2] == [11, 6]


def test_the_group_axis_is_theirs_or_theirs_turned_by_the_half_turn_of_the_mirrors(recorded):
    """A top-bottom mirror (axis 0) is the left-right mirror, then half a turn; otherwise the orders are the same."""
    group, features = recorded.group, recorded.features.unflatten(1, (3, recorded.group.order))
    with torch.no_grad():
        ours = recorded.convert(first_layers(recorded))(recorded.images)
    if recorded.axis_is_horizontal:
        expected = torch.cat([features[:, :, :4], features[:, :, 4:].roll(2, dims=2)], dim=2)
        assert not torch.allclose(ours, features, atol=1e-2)
    else:
        expected = features
    assert group.order == ours.shape[2]
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def test_quarter_turns_and_mirrors_are_exact_in_float64(recorded):
    ours, group = recorded.convert(first_layers(recorded)[1]).double(), recorded.group
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    for g in exact_elements(group, 9, 9):
        moved = ours(act_image(images, group, g))
        torch.testing.assert_close(moved, act_features(ours(images), group, g), rtol=0, atol=1e-12)


@pytest.mark.parametrize("recorded", [name for name in NAMES if name.endswith("8")], indirect=True)
def test_other_turns_are_turns_to_a_few_percent(recorded):
    """By 45 degrees counter-clockwise, not clockwise."""
    group = recorded.group
    layer = recorded.convert(first_layers(recorded)[1])
    atoms = layer.basis.atoms
    y, x = torch.meshgrid(torch.linspace(1, -1, 33), torch.linspace(-1, 1, 33), indexing="ij")
    smooth = torch.exp(-3 * ((x - 0.3) ** 2 + 2 * y**2)).double()[None, None]
    here = torch.nn.functional.conv2d(smooth, atoms[0][:, None], padding=2)
    turned = torch.nn.functional.conv2d(act_image(smooth, group, 1), atoms[1][:, None], padding=2)
    middle = slice(8, 25)
    expected = act_image(here, group, 1)[..., middle, middle]
    assert (turned[..., middle, middle] - expected).norm() < 0.05 * expected.norm()
    wrong = act_image(here, group, int(group.inverse[1]))[..., middle, middle]
    assert (turned[..., middle, middle] - wrong).norm() > 0.3 * expected.norm()


@some_of_each
def test_weights_come_back(recorded):
    ours, blank = recorded.convert(recorded.module), copy.deepcopy(recorded.module)
    with torch.no_grad():
        for parameter in blank.parameters():
            if parameter.requires_grad:
                parameter.normal_()
    recorded.write_back(ours, blank)
    for (name, theirs), back in zip(recorded.module.named_parameters(), blank.parameters(), strict=True):
        torch.testing.assert_close(back, theirs, rtol=0, atol=1e-5, msg=name)


@some_of_each
def test_it_trains_on_and_goes_back(recorded):
    ours = recorded.convert(recorded.module).train()
    optimizer = torch.optim.SGD([p for p in ours.parameters() if p.requires_grad], lr=0.05)
    images, labels = torch.randn(8, 3, 20, 20), torch.arange(8) % 4
    for _ in range(2):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(ours(images), labels).backward()
        assert all(
            p.grad is not None and p.grad.abs().sum() > 0 for p in ours.parameters() if p.dtype.is_floating_point
        )
        optimizer.step()
    ours.eval()
    recorded.module.train()  # or it would keep filters of the weights of before
    recorded.write_back(ours, recorded.module)
    again = recorded.convert(recorded.module).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(images), ours(images), rtol=0, atol=1e-5)
        assert not torch.allclose(ours(recorded.images), recorded.outputs, atol=1e-3)


@pytest.mark.parametrize("recorded", ["escnn-c8", "e2cnn-d4"], indirect=True)
def test_the_result_is_an_ordinary_network(recorded):
    ours = recorded.convert(recorded.module)
    with torch.no_grad():
        expected = ours(recorded.images)
        torch.testing.assert_close(fold(ours)(recorded.images), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(pickle.loads(pickle.dumps(ours))(recorded.images), expected)
    assert ours.state_dict().keys() == ours.train().state_dict().keys()


@pytest.mark.parametrize("recorded", ["escnn-c4"], indirect=True)
def test_modes_freezing_and_names_stay(recorded):
    body = recorded.module[0]
    body.get_submodule("5").weights.requires_grad_(False)
    body.get_submodule("6").train()
    ours = recorded.convert(recorded.module)
    assert [name for name, _ in ours[0].named_children()] == [name for name, _ in body.named_children()]
    assert not ours[0][5].coefficients.requires_grad
    assert ours[0][5].bias.requires_grad
    assert ours[0][6].training
    assert not ours[0][2].training


@pytest.mark.parametrize("recorded", ["escnn-c4"], indirect=True)
def test_a_layer_that_stands_twice_stays_one(recorded):
    norm, pool = recorded.module[0].get_submodule("6"), recorded.module[0].get_submodule("13")
    ours = recorded.convert(nn.Sequential(norm, pool, norm))
    assert len(ours) == 3
    assert ours[0] is ours[2]
