"""Weights of branches stay as they are; weights of channels are repeated. Channels taken by number are refused."""

import pytest
import torch
from torch import nn

import orbitconv
from plain_networks import Network

X = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


class Fused(nn.Module):
    """Two branches with normalized weights, and a scale for every channel."""

    def __init__(self):
        super().__init__()
        self.first, self.second = (nn.Conv2d(1, 2, 3, padding=1) for _ in range(2))
        self.branches, self.scale = nn.Parameter(torch.tensor([1.0, 3.0])), nn.Parameter(torch.tensor([0.5, 2.0]))

    def forward(self, x):
        one, other = self.branches.relu() / self.branches.relu().sum()
        return (one * self.first(x) + other * self.second(x)) * self.scale[:, None, None]


def test_weights_of_branches_are_not_repeated_and_those_of_channels_are():
    plain = Fused()
    network = orbitconv.convert(plain, "c4", "exact", example=X, weights="inherit", pool="mean").eval()
    assert network.network.branches.shape == (2,)
    assert network.network.scale.shape == (8,)
    with torch.no_grad():
        expected = torch.stack([plain(X.rot90(k, (2, 3))).rot90(-k, (2, 3)) for k in range(4)]).mean(0)
        torch.testing.assert_close(network(X), expected, rtol=0, atol=1e-5)


def sliced(*, literal):
    """Half of the channels, which share what is to be a stride: by number, or as a share."""

    def forward(s, x):
        y = s.first(x).relu()
        return s.second(y[:, : 8 if literal else y.shape[1] // 2])

    return Network(forward, first=nn.Conv2d(1, 16, 3, 2, padding=1), second=nn.Conv2d(8, 4, 3, padding=1))


def test_channels_taken_by_number_are_refused_and_as_a_share_are_not():
    with pytest.raises(ValueError, match=r"'second'.*though they hold the group"):
        orbitconv.convert(sliced(literal=True), "c4", "exact", example=X)
    assert orbitconv.convert(sliced(literal=False), "c4", "exact", example=X).report.of("second").kind == "group"
