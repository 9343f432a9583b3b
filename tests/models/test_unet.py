import pytest
import torch

from networks import make, picture
from orbitconv.models import UNet, count_parameters
from raising import refuses
from references import turn


@pytest.mark.parametrize("size", [(9, 9), (10, 10), (11, 11), (12, 12), (9, 12), (5, 14)])
@pytest.mark.parametrize("mirror", [False, True])
def test_turns_exactly_at_every_size(size, mirror):
    network = make("unet", "d4")
    x = torch.randn(1, 2, *size, dtype=torch.float64)
    with torch.no_grad():
        y = network(x)
        assert y.shape == (1, 10, *size)
        for quarters in range(4):
            found = network(turn(x, quarters, mirror=mirror))
            torch.testing.assert_close(found, turn(y, quarters, mirror=mirror), rtol=0, atol=1e-10)


def test_parameters_of_the_plain_network():
    widths = (4, 8, 16)
    network = UNet(None, 3, depth=2, width=4, in_channels=2)

    def pair(before, after):
        return 9 * (before * after + after * after) + 4 * after

    down = pair(2, 4) + pair(4, 8) + pair(8, 16)
    assert count_parameters(network) == down + pair(widths[2] + 8, 8) + pair(8 + 4, 4) + 4 * 3 + 3


def test_every_scale_reaches_the_output():
    network = make("unet", "c4")
    x = picture(16)
    with torch.no_grad():
        whole = network(x)
        for scale in range(3):  # without the features of a scale the scores are others
            silent = network.down[scale].register_forward_hook(lambda *args: torch.zeros_like(args[-1]))
            assert (network(x) - whole).abs().max() > 1e-3
            silent.remove()


def test_images_too_small_to_be_halved_are_refused():
    network = UNet(None, depth=3, width=1)
    assert network(torch.zeros(1, 3, 9, 9)).shape == (1, 1, 9, 9)
    refuses(ValueError, "BlurPool2d expects planes of at least 3x3 pixels", network, torch.zeros(1, 3, 8, 9))
    refuses(ValueError, "depth >= 1", UNet, None, depth=0)
