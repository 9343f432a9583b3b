"""The backbones become exact networks on a group, as classifiers and as lists of maps."""

import pytest
import torch

from orbitconv.conversion import convert
from orbitconv.groups import Cyclic
from orbitconv.metrics import check
from orbitconv.models import BACKBONES, encoder_unet


@pytest.mark.parametrize(("name", "features_only", "options"), [
    ("resnet18", True, {"width": 2}),
    ("vgg11-bn", False, {"width": 2, "head_grid": 1}),
    ("convnext-tiny", False, {"width": 2}),
    ("efficientnet-b0", False, {"width": 4}),
])  # fmt: skip
def test_converted_backbones_are_exact(name, features_only, options):
    plain = BACKBONES[name](num_classes=3, features_only=features_only, **options)
    x = torch.randn(1, 3, 32, 32)
    net = convert(plain, "c4", example=x, exact=True).double().eval()
    report = check(net, x.double(), Cyclic(4))
    assert report.losses == ()
    assert report.error < 1e-10
    places = [f"[{i}]" for i in range(len(plain.channels))] if features_only else [""]
    assert list(report.errors) == places


def test_a_converted_unet_gives_maps_that_turn():
    plain, x = encoder_unet(BACKBONES["resnet18"], 2, width=2, widths=(4, 4, 4, 4)), torch.randn(1, 3, 32, 32)
    report = check(convert(plain, "c4", example=x, exact=True).double().eval(), x.double(), Cyclic(4))
    assert report.error < 1e-10
    assert report.outputs == {"": "planes"}
