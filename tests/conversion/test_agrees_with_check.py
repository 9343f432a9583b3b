"""What the report of a conversion promises is what `check` measures: nothing is silently wrong."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import orbitconv
from plain_networks import Network, TinyConvNeXt, TinyDense, TinyResNet


def conv(before: int, after: int, side: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(before, after, side, **{"padding": side // 2, **options})


def between(function) -> nn.Module:
    """A function between two convolutions."""

    def forward(s, x):
        return s.second(function(torch.tanh(s.first(x)))).mean((2, 3))

    return Network(forward, first=conv(1, 4), second=conv(4, 4))


def upward(up: nn.Module) -> nn.Module:
    """Down and up again, with the finer features beside the coarser ones."""

    def forward(s, x):
        y = torch.tanh(s.first(x))
        return s.mask(torch.cat([y, s.up(torch.tanh(s.down(y)))], 1))

    return Network(forward, first=conv(1, 4), down=conv(4, 8, stride=2), up=up, mask=conv(8, 2, 1))


def chain(*layers: nn.Module, width: int = 4) -> nn.Module:
    return nn.Sequential(conv(1, 4), nn.Tanh(), *layers, conv(width, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


NETWORKS = {
    "residual": (lambda: TinyResNet(in_channels=1), 12),
    "residual, odd": (lambda: TinyResNet(in_channels=1), 13),
    "stride": (lambda: chain(conv(4, 4, stride=2)), 12),
    "stride of depthwise": (lambda: chain(conv(4, 4, stride=2, groups=4)), 12),
    "pools of two": (lambda: chain(nn.MaxPool2d(2), nn.AvgPool2d(2)), 12),
    "pools of two, odd": (lambda: chain(nn.MaxPool2d(2), nn.AvgPool2d(2)), 14),
    "last window over": (lambda: chain(nn.MaxPool2d(2, ceil_mode=True)), 13),
    "one-sided padding": (lambda: chain(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(4, 4, 3, 2)), 12),
    "nearest to odd": (lambda: chain(nn.Upsample(size=23)), 12),
    "output padding": (lambda: upward(nn.ConvTranspose2d(8, 4, 3, 2, 1, 1)), 12),
    "doubling": (lambda: upward(nn.Sequential(nn.Upsample(scale_factor=2), conv(8, 4))), 12),
    "fixed head": (lambda: nn.Sequential(conv(1, 4, stride=2), nn.AvgPool2d(5), nn.Flatten(), nn.Linear(4, 2)), 12),
    "shuffle": (lambda: chain(nn.ChannelShuffle(2), nn.GroupNorm(2, 4)), 12),
}
BY_FUNCTION = {
    "slice": (lambda: between(lambda y: y[:, :, 1:, 1:]), 12),
    "slice of both sides": (lambda: between(lambda y: y[:, :, 1:-1, 1:-1]), 12),
    "pad": (lambda: between(lambda y: F.pad(y, (0, 1, 0, 1))), 12),
    "pool": (lambda: between(lambda y: F.max_pool2d(y, 2)), 13),
    "interpolate": (lambda: between(lambda y: F.interpolate(y, 23)), 12),
}


def agree(network: nn.Module, x: torch.Tensor) -> bool:
    """Whether report and measurement say the same, and whether that is exact."""
    found = orbitconv.check(network, x, network.group)
    said = network.report.first_lost
    assert network.report.is_exact == found.is_exact == (not found.losses)
    if said is not None:
        assert found.losses[0].path.removeprefix("network").removeprefix(".").startswith(said.path)
    return found.is_exact


@pytest.mark.parametrize("group", ["c4", "d4", "c2"])
@pytest.mark.parametrize("name", [*NETWORKS, *BY_FUNCTION])
def test_a_network_as_it_is(name, group):
    build, side = {**NETWORKS, **BY_FUNCTION}[name]
    x = torch.randn(2, 1, side, side, dtype=torch.float64)
    agree(orbitconv.convert(build().double(), group, "exact", example=x), x)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_whose_layers_are_exchanged_is_exact(name):
    build, side = NETWORKS[name]
    x = torch.randn(2, 1, side, side, dtype=torch.float64)
    assert agree(orbitconv.convert(build().double(), "c4", "exact", example=x, exact=True), x)


@pytest.mark.parametrize(("build", "channels"), [(TinyDense, 2), (TinyConvNeXt, 3)])
@pytest.mark.parametrize("side", [9, 10])
def test_gates_patches_and_channels_last(build, channels, side):
    x = torch.randn(2, channels, side, side, dtype=torch.float64)
    assert agree(orbitconv.convert(build().double(), "c4", "exact", example=x), x) is (side == 10 or build is TinyDense)
