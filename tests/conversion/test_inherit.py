"""A converted network that inherits begins as the plain one on every turned copy of the image."""

import pytest
import torch
from torch import nn

import orbitconv
from networks import settled
from orbitconv.groups import Cyclic, Dihedral
from plain_networks import TinyConvNeXt, TinyResNet


@pytest.mark.parametrize("pool", ["mean", "max"])
@pytest.mark.parametrize(("build", "channels", "side"), [(TinyResNet, 3, 13), (TinyConvNeXt, 3, 12)])
@pytest.mark.parametrize("group", [Cyclic(4), Dihedral(4)])
def test_with_an_exact_basis_it_is_the_pool_over_turned_copies(build, channels, side, pool, group):
    plain = settled(build())
    x = torch.randn(2, channels, side, side, dtype=torch.float64)
    network = orbitconv.convert(plain, group, "exact", example=x, weights="inherit", pool=pool)

    def answer(model, images):
        output = model(images)
        return output["scores"] if isinstance(output, dict) else output

    copies = [x.rot90(k, (2, 3)) for k in range(4)]
    copies += [x.flip(3).rot90(k, (2, 3)) for k in range(4)] if group.order == 8 else []
    with torch.no_grad():
        asked = torch.stack([answer(plain, copy) for copy in copies])
        expected = asked.mean(0) if pool == "mean" else asked.amax(0)
        torch.testing.assert_close(answer(network, x), expected, rtol=1e-10, atol=1e-10)


def test_masks_are_the_mean_of_turned_back_masks():
    plain = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.MaxPool2d(2), nn.ReLU(),
        nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.InstanceNorm2d(4, affine=True), nn.ConvTranspose2d(4, 6, 2, 2),
        nn.PReLU(6), nn.Conv2d(6, 2, (3, 1), padding=(1, 0)),
    )  # fmt: skip
    plain, x = settled(plain), torch.randn(2, 2, 10, 10, dtype=torch.float64)
    network = orbitconv.convert(plain, "c4", "exact", example=x, weights="inherit", pool="mean")
    with torch.no_grad():
        expected = torch.stack([plain(x.rot90(k, (2, 3))).rot90(-k, (2, 3)) for k in range(4)]).mean(0)
        torch.testing.assert_close(network(x), expected, rtol=1e-10, atol=1e-10)


def test_the_report_says_how_much_of_the_filters_the_basis_holds():
    x = torch.randn(4, 3, 13, 13)
    plain = TinyResNet()
    complete = orbitconv.convert(plain, "c4", "exact", example=x, weights="inherit").report
    spectral = orbitconv.convert(plain, "c8", example=x, weights="inherit").report
    assert min(complete.inherited.values()) == pytest.approx(1, abs=1e-9)
    assert 0.4 < spectral.inherited["blocks.0.conv2"] < 0.9  # six atoms of nine pixels
    assert spectral.inherited["blocks.1.short.0"] == pytest.approx(1)


def test_a_fresh_network_holds_nothing_of_what_was_learned():
    plain = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(4), nn.Conv2d(4, 4, 1), nn.InstanceNorm2d(4, affine=True),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(4), nn.Linear(4, 1), nn.Linear(1, 2),
    )  # fmt: skip
    plain, x = settled(plain), torch.randn(1, 3, 13, 13, dtype=torch.float64)
    for values in plain.parameters():
        torch.nn.init.constant_(values, 7.0)
    network = orbitconv.convert(plain, "c4", example=x)
    assert not any(bool((values == 7).any()) for values in network.parameters())
    assert float(network.network[1].layer.running_mean.abs().max()) == 0
    assert bool((network.network[1].layer.weight == 1).all())
    assert bool((network.network[2].module.weight == 0.25).all())
    inherited = orbitconv.convert(plain, "c4", example=x, weights="inherit")
    assert bool((inherited.network[1].layer.weight == 7).all())
