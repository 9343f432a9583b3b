import pytest
import torch
from torch import nn

from orbitconv.groups import Cyclic
from orbitconv.metrics import check
from orbitconv.models import BACKBONES, count_parameters, encoder_unet
from raising import refuses

# What the authors, or torchvision's documentation, state for 1,000 classes.
PUBLISHED = {
    "resnet18": 11_689_512, "resnet34": 21_797_672, "resnet50": 25_557_032, "vgg11-bn": 132_868_840,
    "convnext-tiny": 28_589_128, "efficientnet-b0": 5_288_548,
}  # fmt: skip
TINY = {"resnet18": 4, "resnet34": 4, "resnet50": 4, "vgg11-bn": 2, "convnext-tiny": 4, "efficientnet-b0": 8}


@pytest.mark.parametrize("name", BACKBONES)
def test_has_the_published_number_of_parameters(name):
    with torch.device("meta"):
        assert count_parameters(BACKBONES[name]()) == PUBLISHED[name]


@pytest.mark.parametrize("name", BACKBONES)
def test_the_full_size_makes_maps_of_the_stated_channels_and_strides(name):
    with torch.device("meta"):
        net, x = BACKBONES[name](features_only=True), torch.zeros(1, 3, 224, 224)
        maps = net(x)
        assert BACKBONES[name](num_classes=10, in_channels=1)(x[:, :1]).shape == (1, 10)
    assert [m.shape for m in maps] == [
        (1, c, 224 // s, 224 // s) for c, s in zip(net.channels, net.strides, strict=True)
    ]
    assert net.head is None


@pytest.mark.parametrize("name", BACKBONES)
def test_every_parameter_gets_a_gradient(name):
    net = BACKBONES[name](num_classes=3, width=TINY[name]).eval()
    net(torch.randn(2, 3, 64, 64)).square().sum().backward()
    silent = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("side", [64, 65])
@pytest.mark.parametrize("name", BACKBONES)
def test_a_unet_on_any_of_them_gives_scores_for_every_pixel(name, side):
    net = encoder_unet(BACKBONES[name], 2, in_channels=1, width=TINY[name])
    assert net(torch.randn(2, 1, side, side)).shape == (2, 2, side, side)


def test_the_decoder_keeps_the_centre_at_every_size():
    net = encoder_unet(BACKBONES["resnet18"], 2, in_channels=1, width=2).double()
    for side in (33, 65):
        report = check(net, torch.randn(1, 1, side, side, dtype=torch.float64), Cyclic(4))
        assert {loss.cause for loss in report.losses} == {"its filters do not turn: a plain convolution"}


def test_the_flattening_head_is_found_and_can_be_left_out():
    def losses(**options: int) -> list[str]:
        net = BACKBONES["vgg11-bn"](num_classes=3, width=2, **options).double()
        report = check(net, torch.randn(1, 3, 64, 64, dtype=torch.float64), Cyclic(4))
        return [loss.path for loss in report.losses if "filters do not turn" not in loss.cause]

    assert losses(head_grid=2) == ["head.3"]
    assert losses(head_grid=1) == []


def test_residual_blocks_start_where_the_formula_says():
    net = BACKBONES["resnet18"](width=4, features_only=True).eval()
    block = net.stages[1][1]
    x = torch.randn(1, 4, 9, 9)
    a, b = block.branch
    expected = (b[1](b[0](a[1](a[0](x)).relu())) + x).relu()
    torch.testing.assert_close(block(x), expected)
    assert isinstance(net.stages[1][0], nn.MaxPool2d)


@pytest.mark.parametrize(("name", "options", "message"), [
    ("resnet18", {"width": 0}, "resnet18 expects width >= 1"),
    ("efficientnet-b0", {"width": 6}, "a width that 4 divides, got 6"),
    ("vgg11-bn", {"head_grid": 0}, "vgg11_bn expects head_grid >= 1"),
])  # fmt: skip
def test_refuses_sizes_that_do_not_fit(name, options, message):
    refuses(ValueError, message, BACKBONES[name], **options)


def test_a_unet_refuses_other_numbers_of_widths():
    words = "expects 4 widths for 5 maps of the encoder, got 1"
    refuses(ValueError, words, encoder_unet, BACKBONES["resnet18"], 2, width=2, widths=(8,))
