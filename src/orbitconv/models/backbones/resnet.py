"""ResNet with 18, 34 and 50 layers."""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from orbitconv._support.checks import check_positive
from orbitconv.models.backbones.backbone import Backbone, conv_norm, linear_head


class ResidualBlock(nn.Module):
    """A sum of two branches, then ReLU; without a shortcut one branch leaves the features as they are."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None) -> None:
        super().__init__()
        self.branch, self.shortcut, self.act = branch, shortcut, nn.ReLU()

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c2 h2 w2"]:
        """Add, and cut off below zero."""
        return self.act(self.branch(x) + (x if self.shortcut is None else self.shortcut(x)))


def _block(before: int, width: int, stride: int, *, bottleneck: bool) -> ResidualBlock:
    """Two 3x3 convolutions; as a bottleneck, a 3x3 one between 1x1 ones, with four times as many channels out."""
    if bottleneck:
        after = 4 * width
        branch = nn.Sequential(
            conv_norm(before, width, 1), conv_norm(width, width, 3, stride), conv_norm(width, after, 1, act=None)
        )
    else:
        after = width
        branch = nn.Sequential(conv_norm(before, width, 3, stride), conv_norm(width, width, 3, act=None))
    changes = stride > 1 or before != after
    return ResidualBlock(branch, conv_norm(before, after, 1, stride, act=None) if changes else None)


def _resnet(
    owner: str,
    depths: Sequence[int],
    num_classes: int,
    in_channels: int,
    width: int,
    *,
    bottleneck: bool,
    features_only: bool,
) -> Backbone:
    check_positive(owner, num_classes=num_classes, in_channels=in_channels, width=width)
    stages: list[nn.Module] = [conv_norm(in_channels, width, 7, 2)]
    channels = [width]
    for index, depth in enumerate(depths):
        own, before = width * 2**index, channels[-1]
        after = 4 * own if bottleneck else own
        blocks = [
            _block(before if n == 0 else after, own, 2 if n == 0 and index else 1, bottleneck=bottleneck)
            for n in range(depth)
        ]
        stages.append(nn.Sequential(*([] if index else [nn.MaxPool2d(3, 2, 1)]), *blocks))
        channels.append(after)
    return Backbone(
        stages, channels, (2, 4, 8, 16, 32), None if features_only else linear_head(channels[-1], num_classes)
    )


def resnet18(
    num_classes: int = 1000, in_channels: int = 3, width: int = 64, *, features_only: bool = False
) -> Backbone:
    """ResNet-18: 11,689,512 parameters with 1,000 classes.

    Args:
        num_classes: Scores of the output.
        in_channels: Channels of the image.
        width: Channels of the first stage.
        features_only: Whether to return the maps of all stages instead of scores.

    Returns:
        The network, untrained.

    Source: He et al. (2016), Deep residual learning for image recognition.
    """
    return _resnet(
        "resnet18", (2, 2, 2, 2), num_classes, in_channels, width, bottleneck=False, features_only=features_only
    )


def resnet34(
    num_classes: int = 1000, in_channels: int = 3, width: int = 64, *, features_only: bool = False
) -> Backbone:
    """ResNet-34: 21,797,672 parameters with 1,000 classes.

    The arguments are those of `resnet18`.

    Returns:
        The network, untrained.

    Source: He et al. (2016), Deep residual learning for image recognition.
    """
    return _resnet(
        "resnet34", (3, 4, 6, 3), num_classes, in_channels, width, bottleneck=False, features_only=features_only
    )


def resnet50(
    num_classes: int = 1000, in_channels: int = 3, width: int = 64, *, features_only: bool = False
) -> Backbone:
    """ResNet-50: 25,557,032 parameters with 1,000 classes; it strides in its 3x3 convolutions.

    The arguments are those of `resnet18`; `width` is that inside the bottlenecks.

    Returns:
        The network, untrained.

    Source: He et al. (2016), Deep residual learning for image recognition.
    """
    return _resnet(
        "resnet50", (3, 4, 6, 3), num_classes, in_channels, width, bottleneck=True, features_only=features_only
    )
