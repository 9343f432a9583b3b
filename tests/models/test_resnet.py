import pytest
import torch
import torch.nn.functional as F

from networks import picture, settled
from orbitconv.models import Layers, ResNet, count_multiply_adds, count_parameters
from orbitconv.models.resnet import BasicBlock


def size(**options):
    with torch.device("meta"):
        return count_parameters(ResNet(None, **options))


def test_published_sizes():
    assert size(depth=18) == 11_173_962  # 11.2 million
    assert size(depth=34) == 21_282_122
    widths, blocks = (16, 32, 64), 7
    stages = 3 * 16 * 9 + 32 + sum(2 * blocks * (w * w * 9 + 2 * w) for w in widths) + 650
    changes = sum(w * 2 * w + 4 * w - 9 * 2 * w * w for w in widths[:2])  # 1x1 shortcuts; half the input
    assert size(depth=44) == stages + changes == 661_338  # 0.66 million
    assert 1_720_000 < size(depth=110) < 1_740_000  # 1.7 million


def test_strided_blocks_take_the_multiply_adds_of_the_paper():
    with torch.device("meta"):
        network = ResNet(None, depth=18, downsample="stride")
    products = 3 * 64 * 9 * 32**2 + 4 * 64 * 64 * 9 * 32**2 + 5120
    for stage in (1, 2, 3):
        before, after, pixels = 32 * 2**stage, 64 * 2**stage, (32 // 2**stage) ** 2
        products += pixels * (before * after * 10 + 3 * after * after * 9)
    assert count_multiply_adds(network, (3, 32, 32)) == products


@pytest.mark.parametrize("downsample", [None, "stride"])
def test_a_plain_block_written_out(downsample):
    block = settled(BasicBlock(Layers("Mine", None), 3, 3, downsample))
    (conv1, norm1, _, conv2, norm2), x = block.residual, picture(9, 3)
    stride = 1 if downsample is None else 2
    y = norm2(F.conv2d(norm1(F.conv2d(x, conv1.weight, stride=stride, padding=1)).relu(), conv2.weight, padding=1))
    short = x if stride == 1 else block.shortcut[1](F.conv2d(x, block.shortcut[0].weight, stride=2))
    torch.testing.assert_close(block(x), (y + short).relu())


@pytest.mark.parametrize("depth", [0, 2, 19, 101])
def test_unknown_depths_are_refused(depth):
    with pytest.raises(ValueError, match=rf"ResNet expects depth 18, 34, or 6n \+ 2 .* got {depth}"):
        ResNet(None, depth=depth)
