"""What the study of the explorer keeps of a network."""

import base64

import numpy as np
import torch

import orbitconv
from orbitconv.models import SmallCNN
from orbitconv.train import Network, TrainConfig, TrainedNetwork
from studies.explorer.scenes import maps


def named(network):
    config = TrainConfig(network=Network(basis="none"))
    return TrainedNetwork(network=network.eval(), config=config, classes=("a", "b"), in_channels=1, image_size=(16, 16))


def planes_of(network, image):
    """Feature maps as the page reads them, in bytes, each network's largest number white."""
    shown = list(maps(named(network), image))
    return np.stack([np.frombuffer(base64.b64decode(one["data"]), np.uint8).reshape(one["shape"]) for one in shown])


def features(network, image):
    """The ReLU before the second pool of the plain network, whose planes have half the side of the image."""
    with torch.no_grad():
        return network.features[:10](image)


def test_maps_of_a_converted_network_are_the_largest_of_the_plain_one_on_all_turns():
    plain, image = SmallCNN(None, width=3, num_classes=2).eval(), torch.rand(1, 1, 16, 16)
    converted = orbitconv.convert(plain, "c4", "exact", example=image, weights="inherit").eval()
    turned = [features(plain, image.rot90(-k, (2, 3))).rot90(k, (2, 3)) for k in range(4)]
    expected = torch.stack(turned).amax(0)[0, :4]
    expected = 255 * expected / expected.amax()
    np.testing.assert_allclose(planes_of(converted, image)[:, 0], expected.numpy(), atol=1.01)
    alone = turned[0][0, :4]
    np.testing.assert_allclose(planes_of(plain, image)[:, 0], (255 * alone / alone.amax()).numpy(), atol=1.01)
