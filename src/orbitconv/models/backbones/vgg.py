"""VGG with 11 layers and batch norm."""

from torch import nn

from orbitconv._support.checks import check_positive
from orbitconv.models.backbones.backbone import Backbone, conv_norm

_DEPTHS = 1, 1, 2, 2, 2


def vgg11_bn(
    num_classes: int = 1000,
    in_channels: int = 3,
    width: int = 64,
    head_grid: int = 7,
    *,
    features_only: bool = False,
) -> Backbone:
    """VGG-11 with batch norm: 132,868,840 parameters with 1,000 classes.

    Its head flattens a plane of 7x7 pixels into features, which fixes the orientation of the image whatever the layers
    before do. `head_grid=1` takes the mean over the plane instead, and can be made equivariant.

    The other arguments are those of `resnet18`; maps of stages are those before they are pooled.

    Returns:
        The network, untrained.

    Source: Simonyan & Zisserman (2015), Very deep convolutional networks for large-scale image recognition.
    """
    check_positive("vgg11_bn", num_classes=num_classes, in_channels=in_channels, width=width, head_grid=head_grid)
    stages, channels = list[nn.Module](), list[int]()
    before = in_channels
    for index, depth in enumerate(_DEPTHS):
        after = width * min(2**index, 8)
        convolutions = [conv_norm(before if n == 0 else after, after, 3, bias=True) for n in range(depth)]
        stages.append(nn.Sequential(*([nn.MaxPool2d(2)] if index else []), *convolutions))
        channels.append(after)
        before = after
    hidden = 64 * width
    head = nn.Sequential(
        nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(head_grid), nn.Flatten(),
        nn.Linear(before * head_grid**2, hidden), nn.ReLU(), nn.Dropout(0.5),
        nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, num_classes),
    )  # fmt: skip
    return Backbone(stages, channels, (1, 2, 4, 8, 16), None if features_only else head)
