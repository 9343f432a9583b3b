"""Tiles, and answers blended from them."""

import pytest
import torch
from torch import nn

from orbitconv.data.tiles import Tiling, blended
from orbitconv.models import UNet


class Network(nn.Module):
    """Two levels with a skip: strides of 4 in all, any size."""

    def __init__(self, channels=2, classes=3):
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 3, padding=1)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.last = nn.Conv2d(8, classes, 3, padding=1)

    def forward(self, x):
        fine = self.first(x).relu()
        coarse = self.second(nn.functional.max_pool2d(fine, 4, ceil_mode=True)).relu()
        coarse = nn.functional.interpolate(coarse, scale_factor=4)[..., : x.shape[2], : x.shape[3]]
        return self.last(torch.cat([fine, coarse], 1))


def tiled(network, image, tiling):
    parts = list(blended(network, lambda region: image[(slice(None), *region)], tiling))
    assert [rows.start for rows, _ in parts] == [0, *(rows.stop for rows, _ in parts[:-1])]
    return torch.cat([answer for _, answer in parts], 1)


@pytest.mark.parametrize("size", [(150, 211), (64, 64), (65, 90), (40, 300), (5, 7), (96, 1)])
@torch.no_grad()
def test_the_blended_answer_is_that_of_the_whole_picture(size):
    network, image = Network(), torch.randn(2, *size)
    tiling = Tiling(height=size[0], width=size[1], side=64, margin=9, blend=4, multiple=4)
    torch.testing.assert_close(tiled(network, image, tiling), network(image[None])[0], atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_margin_below_the_receptive_field_is_seen():
    network, image = Network(), torch.randn(2, 150, 211)
    tiling = Tiling(height=150, width=211, side=64, margin=2, blend=4, multiple=4)
    assert (tiled(network, image, tiling) - network(image[None])[0]).abs().max() > 1e-3


@pytest.mark.parametrize(("side", "margin", "blend", "multiple"), [(64, 8, 8, 4), (100, 0, 1, 1), (50, 10, 3, 2)])
def test_weights_sum_to_one_and_vanish_at_inner_margins(side, margin, blend, multiple):
    tiling = Tiling(height=177, width=333, side=side, margin=margin, blend=blend, multiple=multiple)
    total = torch.zeros(177, 333)
    for tile in tiling:
        weights = tiling.weights(tile)
        total[tile] += weights
        assert tile[0].start % multiple == tile[1].start % multiple == 0
        if tile[0].start > 0:
            assert not weights[:margin].any()
        if tile[1].stop < 333 and margin:
            assert not weights[:, -margin:].any()
    torch.testing.assert_close(total, torch.ones(177, 333), atol=1e-6, rtol=0)
    assert len(list(tiling)) == len(tiling)


def test_overlaps_of_three_tiles_and_answers_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match=r"no three overlap.*Take a side of 392 or more"):
        Tiling(height=500, width=500, side=200, margin=64, blend=20)
    tiling = Tiling(height=20, width=20, side=16, margin=1, blend=2, multiple=1)
    with pytest.raises(ValueError, match="answers of the size of a tile"):
        list(blended(nn.AvgPool2d(2), lambda _: torch.zeros(1, 16, 16), tiling))


@pytest.mark.parametrize("size", [(201, 150), (202, 163), (203, 200), (204, 97)])
@torch.no_grad()
def test_odd_and_even_sides_at_every_scale_are_those_of_the_whole_picture(size):
    network, image = UNet(None, 2, depth=2, plain_width=4).double().eval(), torch.randn(3, *size, dtype=torch.float64)
    tiling = Tiling(height=size[0], width=size[1], side=192, margin=32, blend=8, multiple=4)
    assert len(tiling) > 1
    torch.testing.assert_close(tiled(network, image, tiling), network(image[None])[0], atol=1e-6, rtol=0)
