import pytest
import torch
import torch.nn.functional as F

from networks import picture, settled
from orbitconv.models import Layers, WideResNet, count_parameters
from orbitconv.models.wide_resnet import WideBlock


def test_published_size():
    with torch.device("meta"):
        network = WideResNet(None)
    count = 3 * 16 * 9 + 2 * 640 + 6410
    for before, after in ((16, 160), (160, 320), (320, 640)):
        count += before * after * 10 + 7 * after * after * 9 + 2 * (before + 7 * after)
    assert count_parameters(network) == count == 36_479_194  # 36.5 million


@pytest.mark.parametrize("after", [3, 5])
def test_a_plain_block_written_out(after):
    block = settled(WideBlock(Layers("Mine", None), 3, after, 0.3))
    x = picture(8, 3)
    conv1, norm, _, _, conv2 = block.residual
    y = block.activate[0](x).relu()
    z = F.conv2d(norm(F.conv2d(y, conv1.weight, padding=1)).relu(), conv2.weight, padding=1)
    short = x if after == 3 else F.conv2d(y, block.shortcut[0].weight)
    torch.testing.assert_close(block(x), z + short)


@pytest.mark.parametrize("depth", [4, 18])
def test_unknown_depths_are_refused(depth):
    with pytest.raises(ValueError, match=rf"WideResNet expects depth 6n \+ 4, .* got {depth}"):
        WideResNet(None, depth=depth)
