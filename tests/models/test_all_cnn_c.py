import pytest
import torch
from torch import nn

from networks import exact_c4, learned_c8, picture, settled
from orbitconv.models import AllCNNC, count_multiply_adds, count_parameters, summary

PLAIN = 3 * 96 * 9 + 2 * 96 * 96 * 9 + 96 * 192 * 9 + 3 * 192 * 192 * 9 + 2 * 192 * 192 + 2 * (3 * 96 + 6 * 192) + 1930


def reference(stride: int) -> nn.Sequential:
    """All-CNN-C written out, narrower, with max pools or strides."""
    pools = [nn.MaxPool2d(2)] if stride == 1 else []

    def unit(before, after, kernel_size, stride=1):
        conv = nn.Conv2d(before, after, kernel_size, stride, padding=kernel_size // 2, bias=False)
        return [conv, nn.BatchNorm2d(after), nn.ReLU()]

    return nn.Sequential(
        *unit(3, 4, 3), *unit(4, 4, 3), *unit(4, 4, 3, stride), *pools,
        *unit(4, 8, 3), *unit(8, 8, 3), *unit(8, 8, 3, stride), *pools,
        *unit(8, 8, 3), *unit(8, 8, 1), *unit(8, 8, 1),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7),
    )  # fmt: skip


@pytest.mark.parametrize(("downsample", "stride"), [("max", 1), ("stride", 2)])
def test_the_plain_twin_is_the_network_of_the_paper(downsample, stride):
    network = settled(AllCNNC(None, width=4, downsample=downsample, num_classes=7))
    written_out, x = reference(stride).double().eval(), picture(16, 3)
    values, names = network.state_dict().values(), written_out.state_dict()
    written_out.load_state_dict(dict(zip(names, values, strict=True)))
    with torch.no_grad():
        torch.testing.assert_close(network(x), written_out(x), rtol=0, atol=1e-12)


def test_parameters_and_multiply_adds_of_the_plain_network():
    with torch.device("meta"):
        network = AllCNNC(None)
    assert count_parameters(network) == PLAIN == 1_408_234
    fine, middle, coarse = 32**2, 16**2, 8**2
    products = fine * (3 * 96 * 9 + 2 * 96 * 96 * 9) + middle * (96 * 192 * 9 + 2 * 192 * 192 * 9)
    products += coarse * (192 * 192 * 9 + 2 * 192 * 192) + 1920
    assert count_multiply_adds(network, (3, 32, 32)) == products == 410_814_336


def test_fields_of_c8():
    def fields(**options):
        with torch.device("meta"):
            network = AllCNNC(learned_c8, **options)
        return [network.features[0].out_channels, network.features[-3].out_channels], count_parameters(network)

    assert fields() == ([34, 68], 1_408_324)
    assert fields(width="compute")[0] == [12, 24]
    rounded_down = 33 * 3 * 9 + 2 * 33 * 33 * 72 + 33 * 67 * 72 + 3 * 67 * 67 * 72 + 2 * 67 * 67 * 8
    assert fields(width=33.4) == ([33, 67], rounded_down + 2 * (3 * 33 + 6 * 67) + 680)


def test_receptive_field():
    last = summary(AllCNNC(exact_c4, width=1), (3, 32, 32)).rows[-2]
    assert (last.kind, last.field, last.stride) == ("GroupPool", (30, 30), (4, 4))
    strided = summary(AllCNNC(exact_c4, width=1, downsample="stride"), (3, 33, 33)).rows[-2]
    assert strided.field == (1 + 3 * 2 + 3 * 4 + 8,) * 2
