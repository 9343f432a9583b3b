"""Forwards that the new layers would change are refused by path, and a promise holds for sizes and weights to come."""

import types

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import orbitconv
from orbitconv.nn import fold

X = torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def conv(before: int, after: int, side: int = 3) -> nn.Conv2d:
    return nn.Conv2d(before, after, side, padding=side // 2)


class Layers(nn.Module):
    """Layers one after the other, and a function of each layer, what goes in and what comes out."""

    def __init__(self, function, *layers):
        super().__init__()
        self.layers, self.function = nn.ModuleList(layers), function

    def forward(self, x):
        for layer in self.layers:
            x = self.function(layer, x, torch.tanh(layer(x)))
        return x


class Between(nn.Module):
    """A function of features between two convolutions, with a scale that begins at zero."""

    def __init__(self, function, after: int = 8):
        super().__init__()
        self.first, self.second, self.function = conv(3, 8), conv(after, 2), function
        self.scale, self.norm = nn.Parameter(torch.zeros(1)), nn.GroupNorm(2, 8)

    def forward(self, x):
        return self.second(self.function(self, torch.tanh(self.first(x))))


class Spectrum(nn.Module):
    """Features mixed at every frequency."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(8, 8, 1, dtype=torch.complex64)

    def forward(self, x):
        return torch.fft.ifft2(self.mix(torch.fft.fft2(x))).real


def patched() -> nn.Module:
    layer = conv(8, 2)
    layer.forward = types.MethodType(lambda self, x: F.conv2d(x, self.weight, padding=1).abs(), layer)
    return nn.Sequential(conv(3, 8), layer)


def coordinates(x):
    return torch.linspace(-1, 1, x.shape[-1]).to(x)


REFUSED = {
    "a class of layers": (
        lambda: Layers(lambda layer, _, y: y.square() if isinstance(layer, nn.Conv2d) else y, conv(3, 8), conv(8, 2)),
        "calls the module 'layers.1', where it calls square",
    ),
    "shapes that agree": (
        lambda: Layers(lambda _, x, y: x + y if x.shape == y.shape else y, conv(3, 3), conv(3, 8)), "where it calls add"
    ),
    "a number of channels": (
        lambda: Layers(lambda *xs: xs[2].abs() if xs[2].shape[1] <= 8 else xs[2], conv(3, 8), conv(8, 2)), "calls abs"
    ),
    "capsules as long as the group": (
        lambda: Between(lambda _, y: y.view(len(y), -1, 4, 16, 16).norm(dim=2), 2), "the group alone"
    ),
    "a forward of one layer alone": (patched, "'1' .*a forward of its own"),
    "a branch that begins at zero": (lambda: Between(lambda s, y: y + s.scale * coordinates(y)), "keep the turn"),
    "weights of pixels": (lambda: nn.Sequential(conv(3, 8), nn.RMSNorm((16, 16))), "'1' .*weight for every pixel"),
    "labels": (lambda: Layers(lambda *xs: xs[-1].max(1).indices, conv(3, 4)), "labels change"),
    "complex weights": (lambda: nn.Sequential(conv(3, 8), Spectrum()), "'1.mix' .*complex"),
}  # fmt: skip


def converted(plain: nn.Module, example=X) -> nn.Module:
    torch.manual_seed(0)
    return orbitconv.convert(plain.double(), "c4", example=example).eval()


@pytest.mark.parametrize("name", REFUSED)
def test_a_forward_that_would_do_something_else_is_refused(name):
    build, words = REFUSED[name]
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=words):
        orbitconv.convert(build(), "c4", example=X.float())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_parts_are_refused():
    plain = nn.Sequential(conv(3, 8), torch.compile(nn.ReLU()))
    with pytest.raises(ValueError, match="got 1 compiled"):
        orbitconv.convert(plain, "c4", example=X.float())


def test_integer_images_are_refused():
    with pytest.raises(TypeError, match=r"torch.uint8.*images.float\(\)"):
        orbitconv.convert(conv(3, 2), "c4", example=torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


@torch.no_grad()
@pytest.mark.parametrize(
    ("function", "exact"),
    [
        (lambda _, y: y.unfold(2, 2, 2).unfold(3, 2, 2).amax((-1, -2)), {14, 16, 18}),
        (lambda _, y: F.unfold(y, 2, stride=2).unflatten(1, (-1, 4)).mean((2, 3))[..., None, None], {14, 16, 18}),
        (lambda _, y: y.index_select(2, torch.arange(0, 16, 5)).index_select(3, torch.arange(0, 16, 5)), {16}),
    ],
)
def test_sizes_are_promised_where_windows_by_function_keep_the_turn(function, exact):
    assert set(converted(Between(function)).report.exact_sizes) == exact


def test_images_that_are_not_square_are_promised_half_turns():
    example = torch.randn(1, 3, 8, 12, dtype=torch.float64)
    network = converted(Between(lambda _, y: y * torch.sigmoid(y.amax(3, keepdim=True))), example)
    assert "Half turns are exact on 8x12" in network.report.summary()


@torch.no_grad()
def test_planes_without_channels_are_an_output():
    network = converted(nn.Sequential(conv(3, 8), nn.Tanh(), conv(8, 1), nn.Flatten(0, 1)))
    torch.testing.assert_close(network(X.rot90(1, (2, 3))), network(X).rot90(1, (1, 2)), rtol=0, atol=1e-12)
    assert network.report.is_exact
    assert orbitconv.check(network, X, "c4").is_exact


@torch.no_grad()
def test_forwards_may_ask_norms_for_their_options():
    network = converted(Between(lambda s, y: s.norm(y) * s.norm.num_groups))
    for twin in (network.plain(), fold(network)):
        torch.testing.assert_close(twin(X), network(X), rtol=0, atol=1e-12)


class Conditioned(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.mask = conv(3, 8), conv(1, 8)

    def forward(self, image, mask, scale=1.0):
        return (torch.tanh(self.first(image)) + scale * self.mask(mask)).mean((2, 3)).chunk(2, 1)


@torch.no_grad()
@pytest.mark.parametrize("example", [(X, X[:, :1]), {"image": X, "mask": X[:, :1], "scale": 0.5}])
def test_networks_of_several_arguments_that_return_parts_fold(example):
    network = converted(Conditioned(), example)
    positional, named = ((), example) if isinstance(example, dict) else (example, {})
    found, wanted = fold(network)(*positional, **named), network(*positional, **named)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)
