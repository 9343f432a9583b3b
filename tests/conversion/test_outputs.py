"""Outputs turn as the user says, whatever they hold and wherever they are: one channel, any key, training mode."""

import pytest
import torch
from torch import nn

import orbitconv
from orbitconv.groups import Cyclic, act_features
from orbitconv.nn import fold
from plain_networks import Network

X = torch.randn(2, 1, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def conv(before: int, after: int, side: int = 3) -> nn.Conv2d:
    return nn.Conv2d(before, after, side, padding=side // 2, dtype=torch.float64)


def both(network: nn.Module) -> tuple:
    """The output for images, and for images that are a quarter turn further."""
    with torch.no_grad():
        return network.eval()(X), network(X.rot90(1, (2, 3)))


def flow(s, x):
    """Rows and columns of vectors, from one layer each."""
    y = torch.tanh(s.stem(x))
    return torch.cat([s.rows(y), s.columns(y)], 1)


def gated(s, x):
    """One channel, times a gate of one channel."""
    y = torch.tanh(s.stem(x))
    return s.mask(y) * torch.sigmoid(s.gate(y))


@pytest.mark.parametrize("build", [
    lambda: nn.Sequential(conv(1, 4), nn.Tanh(), conv(4, 1)),
    lambda: Network(gated, stem=conv(1, 4), mask=conv(4, 1), gate=conv(4, 1)),
])  # fmt: skip
def test_one_channel_may_keep_its_group(build):
    network = orbitconv.convert(build(), "c4", "exact", example=X, output="equivariant")
    upright, turned = both(network)
    assert upright.shape == (2, 1, 4, 9, 9)
    torch.testing.assert_close(turned, act_features(upright, Cyclic(4), 1), rtol=0, atol=1e-12)
    torch.testing.assert_close(network.plain()(X), upright, rtol=0, atol=1e-12)


def test_a_vector_of_two_layers_of_one_channel_turns():
    plain = Network(flow, stem=conv(1, 4), rows=conv(4, 1), columns=conv(4, 1))
    upright, turned = both(orbitconv.convert(plain, "c4", "exact", example=X, output="vector"))
    row, column = upright.rot90(1, (2, 3)).unbind(1)
    torch.testing.assert_close(turned, torch.stack([-column, row], 1), rtol=0, atol=1e-12)


def scored() -> nn.Module:
    """One score, pooled over the group, before the last layer."""
    head = nn.Linear(4, 1, dtype=torch.float64), nn.Linear(1, 4, dtype=torch.float64)
    return nn.Sequential(conv(1, 4), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), *head)


@pytest.mark.parametrize(("plain", "output", "words"), [
    (nn.Sequential(conv(1, 4), conv(4, 1)), "vector", "vectors of two channels"),
    (nn.Sequential(conv(1, 4), conv(4, 1)), "regular", "that 4 divides"),
    (scored(), "vector", "finds no group in output of shape"),
    (nn.Sequential(conv(1, 4), conv(4, 2)), {"[0]": "vector"}, r"finds no output \[0\]"),
])  # fmt: skip
def test_kinds_that_do_not_fit_are_refused(plain, output, words):
    with pytest.raises(ValueError, match=words):
        orbitconv.convert(plain, "c4", "exact", example=X, output=output)


def test_keys_of_outputs_may_hold_dots():
    def named(s, x):
        y = torch.tanh(s.stem(x))
        return {"mask.fine": s.mask(y), "": y}

    plain = Network(named, stem=conv(1, 4), mask=conv(4, 2))
    network = orbitconv.convert(plain, "c4", "exact", example=X, output={"[]": "equivariant"})
    upright, turned = both(network)
    torch.testing.assert_close(turned["mask.fine"], upright["mask.fine"].rot90(1, (2, 3)), rtol=0, atol=1e-12)
    torch.testing.assert_close(turned[""], act_features(upright[""], Cyclic(4), 1), rtol=0, atol=1e-12)
    assert orbitconv.check(network, X, "c4").is_exact


class Auxiliary(nn.Module):
    """A head that only training calls, as Inception and PSPNet have."""

    def __init__(self):
        super().__init__()
        self.stem, self.body = nn.Sequential(conv(1, 4), nn.BatchNorm2d(4, dtype=torch.float64)), conv(4, 8)
        self.score, self.side = (nn.Linear(width, 3, dtype=torch.float64) for width in (8, 4))
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        y = torch.relu(self.stem(x))
        scores = self.score(self.drop(torch.tanh(self.body(y)).mean((2, 3))))
        return (scores, self.side(y.mean((2, 3)))) if self.training else scores


@pytest.mark.parametrize("width", ["channels", "params"])
def test_auxiliary_heads_of_training_mode_are_converted(width):
    plain = Auxiliary().train()
    network = orbitconv.convert(plain, "c4", "exact", example=X, width=width)
    assert network.training
    assert network.report.of("side").kind == "linear"
    network.drop = network.network.drop.eval()
    outputs = network(X), network(X.rot90(1, (2, 3)))
    for upright, turned in zip(*outputs, strict=True):
        assert upright.shape == (2, 3)
        torch.testing.assert_close(turned, upright, rtol=0, atol=1e-12)
    sum(one.sum() for one in outputs[0]).backward()
    upright, turned = both(network)
    torch.testing.assert_close(turned, upright, rtol=0, atol=1e-12)
    torch.testing.assert_close(fold(network)(X), upright, rtol=0, atol=1e-11)
    assert float(plain.stem[1].num_batches_tracked) == 0


class Skipping(nn.Module):
    """Adds a second input where it is a tensor, and pads where sizes are odd, as decoders do."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.mix = conv(1, 4), conv(4, 4), conv(4, 2, 1)

    def forward(self, x):
        y = torch.tanh(self.first(x))
        z = nn.functional.avg_pool2d(nn.functional.pad(y, (1, 1, 1, 1)) if y.shape[-1] % 2 else y, 3, 1, 1)
        return self.mix(self.join(self.second(z), z))

    def join(self, y, other=None):
        return y + other if torch.jit.isinstance(other, torch.Tensor) else y


def test_fold_follows_branches_as_they_go_on_the_example():
    network = orbitconv.convert(Skipping(), "c4", "exact", example=X).eval()
    with torch.no_grad():
        torch.testing.assert_close(fold(network)(X), network(X), rtol=0, atol=1e-11)
