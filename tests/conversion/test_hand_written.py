"""Networks as people write them by hand: exact as promised, by `rot90` alone, or refused by path; never wrong."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import orbitconv
from orbitconv.nn import fold
from plain_networks import Network

X = torch.randn(2, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def conv(before: int, after: int, side: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(before, after, side, **{"padding": side // 2, **options})


def head(width: int = 8) -> nn.Sequential:
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3))


def stem(s, x):
    return F.relu(s.stem(x))


def network(forward, **layers) -> Network:
    return Network(forward, stem=conv(3, 8), **{"head": head(), **layers})


def dense(s, x):
    features = [stem(s, x)]
    for block in s.blocks:
        features.append(F.relu(block(torch.cat(features, 1))))
    return s.head(torch.cat(features, 1))


def tokens(s, x):
    y = stem(s, x)
    return s.mask(s.mix(y.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(y.shape))


def attention(s, x):
    y = stem(s, x)
    query, key, value = (layer(y).flatten(2) for layer in (s.query, s.key, s.value))
    weights = torch.softmax(torch.einsum("bci,bcj->bij", query, key) / 3, -1)
    return s.mask(torch.einsum("bij,bcj->bci", weights, value).reshape(y.shape))


def skip(s, x):
    y = stem(s, x)
    up = F.interpolate(s.low(F.max_pool2d(y, 2)), size=y.shape[2:], mode="bilinear", align_corners=False)
    return s.mask(torch.cat([y, up], 1))


def blurred(s, x):
    y = stem(s, x)
    return s.mask(F.conv2d(y, s.kernel.expand(y.shape[1], 1, 3, 3), padding=1, groups=y.shape[1]))


def shifted(s, x):
    y = stem(s, x)
    count = y.shape[1] // 4
    return s.head(s.mix(torch.cat([F.pad(y[:, :count, :, 1:], (0, 1)), y[:, count:]], 1)))


BINOMIAL = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[None, None] / 16
SOBEL = torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])[None, None]

ON_TURNED_COPIES = {  # exact, and begin as the largest answer to four turned copies
    "one layer in two places": lambda: network(
        lambda s, x: s.head(F.relu(s.mix(F.relu(s.mix(stem(s, x)))))), mix=conv(8, 8)
    ),
    "circular and reflected": lambda: nn.Sequential(
        conv(3, 8, padding_mode="circular"), nn.ReLU(), nn.CircularPad2d(2),
        conv(8, 8, 5, padding_mode="reflect"), head(),
    ),
    "a list of blocks": lambda: network(
        dense, blocks=nn.ModuleList([conv(8, 4), conv(12, 4)]), head=head(16)
    ),
    "sizes of a skip": lambda: network(skip, low=conv(8, 8), mask=conv(16, 2)),
    "bicubic": lambda: nn.Sequential(
        conv(3, 8), nn.ReLU(), nn.MaxPool2d(2), nn.Upsample(scale_factor=2, mode="bicubic"), conv(8, 2)
    ),
    "tokens and back": lambda: network(tokens, mix=nn.Linear(8, 8), mask=conv(8, 2)),
    "batch norm of pooled features": lambda: nn.Sequential(
        conv(3, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(8), nn.Linear(8, 3)
    ),
    "a fixed blur": lambda: network(blurred, kernel=BINOMIAL, mask=conv(8, 2)),
    "maxout of halves": lambda: network(
        lambda s, x: s.head(s.mix(torch.maximum(*s.stem(x).chunk(2, 1)))), mix=conv(4, 8)
    ),
}  # fmt: skip
EXACT = {
    "attention by einsum": lambda: network(
        attention, query=conv(8, 8, 1), key=conv(8, 8, 1), value=conv(8, 8, 1), mask=conv(8, 2)
    ),
    "gate of means over channels": lambda: network(
        lambda s, x: s.mask(stem(s, x) * torch.sigmoid(s.gate(stem(s, x).mean(1, keepdim=True)))),
        gate=conv(1, 1, 7), mask=conv(8, 2),
    ),
    "batch norm without running statistics": lambda: nn.Sequential(
        conv(3, 8), nn.BatchNorm2d(8, track_running_stats=False), nn.ReLU(), head()
    ),
    "probabilities by a module": lambda: nn.Sequential(conv(3, 8), nn.ReLU(), head(), nn.Softmax(1)),
}  # fmt: skip
INEXACT = {
    "pixel shuffle": lambda: network(
        lambda s, x: s.mask(F.pixel_shuffle(s.mix(stem(s, x)), 2)), mix=conv(8, 8), mask=conv(2, 2)
    ),
    "rolled rows": lambda: network(lambda s, x: s.head(s.mix(stem(s, x).roll(1, 2))), mix=conv(8, 8)),
    "rolled channels": lambda: network(lambda s, x: s.head(s.mix(stem(s, x).roll(1, 1))), mix=conv(8, 8)),
    "channels shifted along rows": lambda: network(shifted, mix=conv(8, 8)),
    "circular at one border": lambda: nn.Sequential(
        conv(3, 8), nn.ReLU(), nn.CircularPad2d((0, 1, 0, 1)), conv(8, 8), head()
    ),
}  # fmt: skip
REFUSED = {
    "rows in a recurrent layer": (
        lambda: network(
            lambda s, x: s.head(s.rows(stem(s, x).mean(3).transpose(1, 2))[0][:, -1]),
            rows=nn.LSTM(8, 8, batch_first=True), head=nn.Linear(8, 3),
        ), r"'rows' \(LSTM\).*in an order",
    ),
    "flattened planes": (
        lambda: network(lambda s, x: s.head(stem(s, x).view(len(x), -1)), head=nn.Linear(2048, 3)), "'head'.*256 pixels"
    ),
    "positions of a buffer": (
        lambda: network(lambda s, x: s.head(s.mix(stem(s, x) + s.where)), mix=conv(8, 8), where=torch.randn(16, 16)),
        r"fixed tensor 'network.where'",
    ),
    "edges of one direction": (
        lambda: network(lambda s, x: blurred(s, x).mean((2, 3)), kernel=SOBEL, mask=conv(8, 2)), "filters do not turn"
    ),
    "shuffle by view": (
        lambda: network(
            lambda s, x: s.head(s.mix(stem(s, x).unflatten(1, (2, -1)).transpose(1, 2).flatten(1, 2))), mix=conv(8, 8)
        ), "'mix'.*shuffled",
    ),
    "running sum of channels": (
        lambda: network(lambda s, x: s.head(s.mix(stem(s, x).cumsum(1))), mix=conv(8, 8)), "does not turn"
    ),
    "the number of the largest channel": (
        lambda: network(lambda s, x: s.mask(stem(s, x)).argmax(1), mask=conv(8, 3)), "argmax.*Return the scores"
    ),
    "ranks of channels": (
        lambda: network(lambda s, x: s.head(stem(s, x)).sort(1).indices), "torch.int64.*Return the scores"
    ),
    "a mask by comparison": (
        lambda: network(lambda s, x: s.mask(stem(s, x)) > 0, mask=conv(8, 3)), "torch.bool.*Return the scores"
    ),
    "probabilities by function": (
        lambda: network(lambda s, x: s.head(stem(s, x)).softmax(1)), "output holds probabilities.*torch.nn.Softmax"
    ),
    "log-probabilities by function": (
        lambda: network(lambda s, x: F.log_softmax(s.head(stem(s, x)), 1)), "holds logarithms of probabilities"
    ),
    "layers called by keyword": (
        lambda: network(lambda s, x: s.head(s.stem(input=x))), r"'stem'.*by keyword \(input=...\)"
    ),
    "hooks of spectral norm": (
        lambda: called(network(lambda s, x: s.head(stem(s, x)), head=nn.utils.spectral_norm(conv(8, 2)))),
        "copy the model.*Remove spectral norm",
    ),
}  # fmt: skip


def called(module: nn.Module) -> nn.Module:
    module(torch.zeros(1, 3, 16, 16))
    return module


def make(build) -> nn.Module:
    torch.manual_seed(0)
    return build().double().eval()


def turned(y: torch.Tensor, quarters: int) -> torch.Tensor:
    return y.rot90(quarters, (2, 3)) if y.ndim == 4 else y


@torch.no_grad()
def error(converted: nn.Module) -> float:
    """How much four turns of the image change the output, beside turning it."""
    y = converted.eval()(X)
    return max(float((converted(X.rot90(k, (2, 3))) - turned(y, k)).norm() / y.norm()) for k in range(4))


@pytest.mark.parametrize("name", [*ON_TURNED_COPIES, *EXACT])
def test_what_is_promised_to_be_exact_is(name):
    converted = orbitconv.convert(make({**ON_TURNED_COPIES, **EXACT}[name]), "c4", example=X)
    assert converted.report.is_exact
    assert error(converted) < 1e-12
    torch.testing.assert_close(converted.plain()(X), converted(X), rtol=0, atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("name", ON_TURNED_COPIES)
def test_an_inherited_network_is_the_plain_one_on_turned_copies(name):
    plain = make(ON_TURNED_COPIES[name])
    converted = orbitconv.convert(plain, "c4", "exact", example=X, weights="inherit").eval()
    copies = torch.stack([turned(plain(X.rot90(-k, (2, 3))), k) for k in range(4)])
    torch.testing.assert_close(converted(X), copies.amax(0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", INEXACT)
def test_what_is_not_exact_is_not_promised(name):
    converted = orbitconv.convert(make(INEXACT[name]), "c4", example=X)
    assert not converted.report.is_exact
    assert error(converted) > 1e-4


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_turn_is_refused_by_path(name):
    build, words = REFUSED[name]
    with pytest.raises(ValueError, match=f"convert cannot.*{words}"):
        orbitconv.convert(build().eval(), "c4", example=X.float())


def test_probabilities_stay_probabilities_and_fold():
    converted = orbitconv.convert(make(EXACT["probabilities by a module"]), "c4", example=X).eval()
    with torch.no_grad():
        torch.testing.assert_close(converted(X).sum(1), torch.ones(2).double(), rtol=0, atol=1e-12)
        torch.testing.assert_close(fold(converted)(X), converted(X), rtol=0, atol=1e-12)


@pytest.mark.parametrize("output", ["equivariant", "vector", "regular"])
def test_outputs_that_turn_are_measured_too(output):
    plain = network(lambda s, x: s.mask(stem(s, x).flip(1)), mask=conv(8, 8))
    with pytest.raises(ValueError, match="convert cannot keep the turn"):
        orbitconv.convert(plain, "c4", example=X.float(), output=output)
    straight = network(lambda s, x: s.mask(stem(s, x)), mask=conv(8, 8))
    assert orbitconv.convert(straight, "d4", example=X.float(), output=output).report.is_exact
