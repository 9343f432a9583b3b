"""Summaries against hand counts, and receptive fields against the support of gradients."""

import copy

import pytest
import torch
from torch import nn

from networks import exact_c4, make
from orbitconv.bases import ExactBasis, LearnedBasis, OvercompleteBasis
from orbitconv.groups import Cyclic
from orbitconv.models import MODELS, AllCNNC, SmallCNN, UNet, count_multiply_adds, count_parameters, summary
from orbitconv.nn import GroupConv2d, LiftingConv2d, OrbitLinear
from transformations import SIDE, matrix_of


def support(network: nn.Module, layer: str, size: int) -> tuple[int, int]:
    """Largest window of input pixels with a gradient, over a few pixels in the middle of a layer's output."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            module.forward = lambda x: x  # no pixel is silent
    kept = []
    network.get_submodule(layer).register_forward_hook(lambda _module, _inputs, output: kept.append(output))
    x = torch.randn(1, 2, size, size, dtype=torch.float64, requires_grad=True)
    network(x)
    middle, best = kept[-1].shape[-1] // 2, 0
    for row in range(middle, min(middle + 4, kept[-1].shape[-1])):
        pixel = kept[-1][..., row, middle].square().sum()
        (gradient,) = torch.autograd.grad(pixel, x, retain_graph=True)
        seen = (gradient != 0).any(0).any(0).any(1).nonzero()
        best = max(best, int(seen.max() - seen.min()) + 1)
    return best


CASES = [
    ("all-cnn-c", "features.9", {"downsample": "blur"}, 48),
    ("all-cnn-c", "features.26", {"downsample": "stride"}, 49),
    ("small", "features.14", {"downsample": "stride"}, 41),
    ("small", "features.16", {"downsample": "blur"}, 64),
    ("p4cnn", "features.24", {"downsample": "stride"}, 41),
    ("resnet", "features.5.activate", {"downsample": "blur"}, 64),
    ("resnet", "features.5.shortcut.1", {"downsample": "blur"}, 64),
    ("wide-resnet", "features.4", {"downsample": "stride"}, 65),
    ("unet", "score", {}, 64),
    ("unet", "score", {}, 65),
    ("unet", "up.0", {}, 66),
]


@pytest.mark.parametrize(("name", "layer", "options", "size"), CASES)
def test_receptive_field_is_the_support_of_the_gradient(name, layer, options, size):
    network = make(name, "plain", **options)
    rows = summary(network, (2, size, size)).rows
    inside = [row for row in rows if row.name == layer or row.name.startswith(layer + ".")]
    assert inside[-1].field == (support(network, layer, size),) * 2


@pytest.mark.parametrize("name", sorted(MODELS))
def test_group_networks_see_what_their_plain_twins_see(name):
    shape = (2, 28, 28)
    plain, group = (summary(make(name, basis), shape) for basis in ("plain", "c4"))
    assert [(row.name, row.field, row.stride) for row in plain.rows if row.name != "pool"] == [
        (row.name, row.field, row.stride) for row in group.rows if row.name != "pool"
    ]
    assert plain.expansion == 0 < group.expansion
    assert sum(row.multiply_adds for row in group.rows) == group.multiply_adds
    assert sum(row.parameters for row in group.rows) == group.parameters == count_parameters(make(name, "c4"))


def test_counts_by_hand():
    basis = ExactBasis(Cyclic(4), 3)
    network = nn.Sequential(
        LiftingConv2d(2, 3, basis, padding=1, stride=2), GroupConv2d(3, 5, basis, groups=1), nn.Flatten(),
        nn.Linear(5 * 4 * 9, 7),
    )  # fmt: skip
    found = summary(network, (2, 10, 9))
    lift, group, _, linear = found.rows
    assert lift.multiply_adds == 3 * 4 * 2 * 9 * 5 * 5
    assert lift.expansion == 3 * 2 * 4 * 9 * 9
    assert group.multiply_adds == 5 * 4 * 3 * 4 * 9 * 9
    assert group.expansion == 4 * (5 * 3 * 4) * 9 * 9
    assert linear.multiply_adds == 5 * 4 * 9 * 7
    assert [row.parameters for row in found.rows] == [2 * 3 * 9 + 3, 3 * 5 * 4 * 9 + 5, 0, 180 * 7 + 7]
    assert (group.fields, group.plane, group.field, group.stride) == ("5 x 4", "3 x 3", (7, 7), (2, 2))
    assert (linear.fields, linear.plane, linear.field) == ("7", "-", None)
    assert found.multiply_adds == count_multiply_adds(network, (2, 10, 9))
    assert found.expansion == lift.expansion + group.expansion


@pytest.mark.parametrize(("layer", "field", "stride"), [
    (nn.Conv2d(2, 2, (3, 5), dilation=(2, 1), stride=(1, 3)), (5, 5), (1, 3)),
    (nn.MaxPool2d(3), (3, 3), (3, 3)),
    (nn.AvgPool2d(3, 2, 1), (3, 3), (2, 2)),
    (nn.Upsample(scale_factor=2, mode="nearest"), (1, 1), (0.5, 0.5)),
    (nn.Upsample(scale_factor=2, mode="bilinear"), (2, 2), (0.5, 0.5)),
    (nn.Sequential(nn.ReflectionPad2d(2), nn.Conv2d(2, 2, 5)), (5, 5), (1, 1)),
    (nn.AdaptiveAvgPool2d(1), None, None),
    (nn.ConvTranspose2d(2, 2, 3, 2), None, None),
    (nn.Sequential(nn.Flatten(), nn.Linear(288, 288), nn.Unflatten(1, (2, 12, 12))), None, None),
], ids=lambda value: str(value).replace("\n", "")[:30])  # fmt: skip
def test_receptive_field_of_a_layer(layer, field, stride):
    assert summary(layer, (2, 12, 12)).rows[-1].field == field
    assert summary(layer, (2, 12, 12)).rows[-1].stride == stride


def test_grouped_and_transposed_convolutions_are_counted():
    assert count_multiply_adds(nn.Conv2d(4, 6, 3, groups=2), (4, 5, 5)) == 9 * 6 * 2 * 9
    assert count_multiply_adds(nn.ConvTranspose2d(4, 6, 3), (4, 5, 5)) == 25 * 4 * 6 * 9


def test_layers_with_parts_are_one_row():
    basis = OvercompleteBasis([LearnedBasis(Cyclic(4), 3, orthogonal=True) for _ in range(2)])
    found = summary(SmallCNN(basis, width=1), (1, 12, 12))
    assert [row.kind for row in found.rows].count("GroupConv2d") == 4
    assert not any("basis" in row.name for row in found.rows)
    assert sum(row.parameters for row in found.rows) == found.parameters  # the shared basis counts once
    shifts = torch.stack([matrix_of(lambda x, axis=axis: x.roll(1, axis)) for axis in (-2, -1)])
    (row,) = summary(OrbitLinear(1, 2, shifts, (SIDE, SIDE), kernel_size=3), (1, SIDE, SIDE)).rows
    assert row.multiply_adds == 2 * 9 * SIDE**2


def test_table():
    text = str(summary(AllCNNC(exact_c4, width=1), (3, 32, 32)))
    head, rule, first, *_, last = text.splitlines()
    assert head.split("  ")[0] == "layer"
    assert set(rule) == {"-"}
    assert first.split() == ["features.0", "LiftingConv2d", "1", "x", "4", "32", "x", "32", "27", "110,592", "3", "1"]
    assert last.endswith("to make filters from coefficients")
    assert "filters" not in str(summary(UNet(None, width=1, depth=1), (3, 8, 8)))
    assert len(rule) == len(head) == len(first)
