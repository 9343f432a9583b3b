"""Turned views of a picture, averaged for every pixel."""

import math

import pytest
import torch
from torch import nn

from orbitconv.groups import rotate_images
from orbitconv.models import UNet
from orbitconv.prediction.views import turned_answers
from orbitconv.train import Segmentation, TrainConfig, TrainedNetwork


def trained(network):
    return TrainedNetwork(
        network=network.eval(), config=TrainConfig(), classes=("a", "b"), in_channels=1, image_size=None,
        task=Segmentation(),
    )  # fmt: skip


class Brightness(nn.Module):
    """Scores of each pixel from its own brightness: what it says turns with the picture, but for interpolation."""

    def forward(self, x):
        return torch.cat([x, -x], 1)


def discs(side=65):
    """A smooth picture that is dark at its border."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    window = ((1 - x**2) * (1 - y**2)) ** 3
    first = torch.exp(-8 * (x - 0.2) ** 2 - 16 * (y + 0.1) ** 2)
    return (window * (first + 0.5 * torch.exp(-10 * (x + 0.4) ** 2 - 9 * y**2)))[None, None]


@pytest.mark.parametrize("turns", [4, 8, 12])
def test_the_mean_over_turns_turns_with_the_picture_by_quarters(turns):
    network, image = trained(UNet(None, 2, depth=1, plain_width=4, in_channels=1)), torch.rand(1, 1, 20, 28)
    expected = torch.rot90(turned_answers(network, image, turns), 1, (-2, -1))
    torch.testing.assert_close(turned_answers(network, torch.rot90(image, 1, (-2, -1)), turns), expected)
    assert float((turned_answers(network, image, 1) - turned_answers(network, image, turns)).abs().max()) > 1e-4


@pytest.mark.parametrize("turns", [1, 3, 8])
def test_answers_that_turn_with_the_picture_are_turned_back_in_place(turns):
    network, image = trained(Brightness()), discs()
    found = turned_answers(network, image, turns)
    assert float((found - network(image)).abs().max()) < 5e-4  # of the spline, there and back
    assert float((found - network(image.flip(-1))).abs().max()) > 0.1


def test_one_view_of_eight_is_the_answer_for_the_turned_picture_turned_back():
    network, image = trained(UNet(None, 2, depth=1, plain_width=4, in_channels=1)), discs()
    total = 8 * turned_answers(network, image, 8)
    quarters = sum(torch.rot90(network(torch.rot90(image, k, (-2, -1))), -k, (-2, -1)) for k in range(4))
    for k in range(4):
        turned = torch.rot90(image, k, (-2, -1))
        said = rotate_images(network(rotate_images(turned, math.pi / 4)), -math.pi / 4)
        quarters = quarters + torch.rot90(said, -k, (-2, -1))
    torch.testing.assert_close(total[..., 24:40, 24:40], quarters[..., 24:40, 24:40])


def test_pixels_that_leave_the_frame_are_averaged_over_the_views_that_see_them():
    network, image = trained(UNet(None, 2, depth=1, plain_width=4, in_channels=1)), torch.rand(1, 1, 24, 24)
    eight, four = (turned_answers(network, image, turns) for turns in (8, 4))
    torch.testing.assert_close(eight[..., 0, 0], four[..., 0, 0])  # corners are seen by quarter turns alone
    assert float((eight - four)[..., 12, 12].abs().max()) > 1e-5
    torch.testing.assert_close(eight.sum(1), torch.ones(1, 24, 24))
    torch.testing.assert_close(turned_answers(network, image, 8, margin=12), four)
