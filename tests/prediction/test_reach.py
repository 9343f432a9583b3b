"""How far a network looks, against what its layers say."""

import pytest
import torch
from torch import nn

from orbitconv.data.tiles import Tiling, blended, least_side
from orbitconv.models import UNet
from orbitconv.prediction import Reach, reach_of


def test_the_reach_of_convolutions_is_the_sum_of_their_radii():
    network = nn.Sequential(nn.Conv2d(2, 3, 5, padding=2), nn.ReLU(), nn.Conv2d(3, 1, 3, padding=2, dilation=2))
    assert reach_of(network, 2) == Reach(radius=4, stride=1)


def test_a_weight_of_zero_counts_and_columns_count_as_rows_do():
    wide = nn.Conv2d(1, 1, (1, 7), padding=(0, 3))
    nn.init.zeros_(wide.weight)
    assert reach_of(wide, 1) == Reach(radius=3, stride=1)


def test_layers_that_stop_nan_are_seen_by_other_numbers():
    class Stops(nn.Module):
        def forward(self, x):
            return nn.functional.avg_pool2d(torch.where(x > 0, x, torch.zeros(())), 9, stride=1, padding=4)

    assert reach_of(Stops(), 1).radius == 4


@pytest.mark.parametrize(("basis", "depth"), [(None, 1), (None, 2), ("exact-c4", 2)])
def test_no_input_beyond_the_reach_of_a_unet_changes_its_answer(basis, depth):
    network = UNet(basis, 2, depth=depth, plain_width=4).eval()
    reach = reach_of(network, 3)
    assert reach.stride == 2**depth
    size, edge = 16 * reach.stride + 2 * reach.radius, reach.radius + 3
    image, other = torch.rand(2, 1, 3, size, 40)
    other[:, :, edge:] = image[:, :, edge:]
    with torch.no_grad():
        same = (network(image) == network(other)).flatten(0, 1).all(0).all(1)
    assert same[edge + reach.radius :].all()
    assert not same[edge + reach.radius - 3 * reach.stride - 2 :].all()  # and it is not much too large


@pytest.mark.parametrize("size", [(301, 222), (290, 160)])
def test_tiles_with_the_margin_of_the_reach_give_the_answer_of_the_whole_picture(size):
    network, image = UNet("exact-c4", 2, depth=2, plain_width=4).eval(), torch.rand(3, *size)
    reach = reach_of(network, 3)
    side = least_side(reach.radius, reach.stride)
    tiling = Tiling(height=size[0], width=size[1], side=side, margin=reach.radius, multiple=reach.stride)
    assert len(tiling) > 1
    with torch.no_grad():
        whole = network(image[None])[0].softmax(0)
        parts = blended(lambda x: network(x).softmax(1), lambda tile: image[(slice(None), *tile)], tiling)
        tiled = torch.cat([said for _, said in parts], 1)
    torch.testing.assert_close(tiled, whole, atol=1e-5, rtol=0)


def test_networks_that_see_the_whole_picture_are_refused():
    class Whole(nn.Module):
        def forward(self, x):
            return x - x.mean((2, 3), keepdim=True)

    with pytest.raises(ValueError, match="layers that see the whole picture"):
        reach_of(Whole(), 1)
