import torch
from torch import nn

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic
from orbitconv.models import Layers
from orbitconv.nn import BlurPool2d, GroupBlurPool2d, GroupConv2d, LiftingConv2d

BASIS = ExactBasis(Cyclic(4), 3)


def test_plain_layers_are_those_of_torch():
    layers = Layers("Mine", None)
    assert repr(layers.conv(2, 3)) == repr(nn.Conv2d(2, 3, 3, padding=1, bias=False))
    assert repr(layers.lift(2, 3, 5, stride=2, bias=True)) == repr(nn.Conv2d(2, 3, 5, 2, padding=2))
    kinds = [layers.norm(2), layers.dropout(0.1), layers.max_pool(2), layers.avg_pool(2), layers.blur_pool()]
    assert [type(k) for k in kinds] == [nn.BatchNorm2d, nn.Dropout, nn.MaxPool2d, nn.AvgPool2d, BlurPool2d]
    assert isinstance(layers.pool_group("max"), nn.Identity)
    assert layers.group is None


def test_layers_on_a_group_have_the_same_shapes():
    plain, group = Layers("Mine", None), Layers("Mine", BASIS)
    assert isinstance(group.lift(2, 3), LiftingConv2d)
    assert isinstance(group.conv(2, 3), GroupConv2d)
    assert isinstance(group.blur_pool(), GroupBlurPool2d)

    def build(layers):
        convolutions = [layers.lift(2, 3, stride=2), layers.conv(3, 5), layers.conv(5, 5, 1, bias=True)]
        pools = [layers.max_pool(2), layers.avg_pool(2), layers.blur_pool(), layers.dropout(0.5)]
        return nn.Sequential(*convolutions, layers.norm(5), *pools, layers.pool_group("mean"))

    x = torch.randn(2, 2, 27, 27)
    for a, b in zip(_outputs(build(plain), x), _outputs(build(group), x), strict=True):
        assert a.shape == (b.shape if b.ndim == 4 else (*b.shape[:2], *b.shape[3:]))


def _outputs(network, x):
    return [x := layer(x) for layer in network]
