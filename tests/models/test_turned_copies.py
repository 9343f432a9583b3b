import math

import pytest
import torch
from torch import nn

from orbitconv.groups import rotate_images
from orbitconv.models import SmallCNN, TurnedCopies
from orbitconv.nn import fold


class Corners(nn.Module):
    """Scores that depend on where things are."""

    def forward(self, x):
        return torch.stack([x[:, 0, 0, 0], x[:, 0, 0, -1], x[:, 0, -1, -1]], 1)


def test_four_copies_of_a_plain_network_are_the_mean_over_quarter_turns():
    x = torch.randn(5, 1, 6, 6)
    found = TurnedCopies(Corners(), 4, order=1)(x)
    expected = torch.stack([Corners()(torch.rot90(x, turn, (2, 3))).softmax(1) for turn in range(4)]).mean(0)
    torch.testing.assert_close(found.exp(), expected)
    torch.testing.assert_close(TurnedCopies(Corners(), 4, order=1)(torch.rot90(x, 1, (2, 3))), found)


def test_copies_divide_the_step_of_the_group():
    x = torch.rand(3, 1, 12, 12)
    network = SmallCNN("spectral-c8-k3", width=2).eval()
    with torch.no_grad():
        found = TurnedCopies(network, 2, order=8)(x)
        turned = rotate_images(x, math.radians(22.5))
        expected = (network(x).softmax(1) + network(turned).softmax(1)) / 2
    torch.testing.assert_close(found.exp(), expected)
    assert "degrees=(0.0, 22.5)" in repr(TurnedCopies(network, 2, order=8))


def test_two_copies_nearly_halve_what_turns_between_those_of_the_group_change(smooth):
    axis = torch.linspace(-1, 1, smooth.shape[-1])
    x = smooth.float() * (1 - ((axis[:, None].square() + axis.square()).sqrt() - 0.55) / 0.3).clamp(0, 1)
    network = SmallCNN("spectral-c8-k5", width=3).eval()
    differences = []
    with torch.no_grad():
        for asked in (network, TurnedCopies(network, 2, order=8)):
            scores = [asked(rotate_images(x, math.radians(a))).softmax(1) for a in (0, 22.5)]
            differences.append((scores[0] - scores[1]).norm() / (scores[0] - scores[0].mean(0)).norm())
    assert differences[1] < 0.65 * differences[0]


def test_very_sure_networks_give_no_infinities():
    found = TurnedCopies(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), 2, order=1)(torch.full((1, 1, 2, 2), 1e6))
    assert torch.isfinite(found).all()


@pytest.mark.parametrize("sizes", [{"copies": 0, "order": 8}, {"copies": 2, "order": 0}])
def test_refuses_numbers_below_one(sizes):
    with pytest.raises(ValueError, match="TurnedCopies"):
        TurnedCopies(Corners(), **sizes)


def test_folds_and_exports_with_the_same_output():
    network = TurnedCopies(SmallCNN("spectral-c8-k3", width=2), 2, order=8).eval()
    x = torch.randn(3, 1, 16, 16)
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(fold(network)(x), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(torch.export.export(network, (x,)).module()(x), expected, rtol=0, atol=1e-5)
