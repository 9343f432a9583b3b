"""Well-known networks in plain torch, as classifiers or lists of maps; `orbitconv.convert` makes them equivariant."""

from collections.abc import Callable, Mapping

from orbitconv.models.backbones.backbone import Backbone as Backbone
from orbitconv.models.backbones.convnext import convnext_tiny as convnext_tiny
from orbitconv.models.backbones.efficientnet import efficientnet_b0 as efficientnet_b0
from orbitconv.models.backbones.encoder_unet import EncoderUNet as EncoderUNet
from orbitconv.models.backbones.encoder_unet import encoder_unet as encoder_unet
from orbitconv.models.backbones.resnet import resnet18 as resnet18
from orbitconv.models.backbones.resnet import resnet34 as resnet34
from orbitconv.models.backbones.resnet import resnet50 as resnet50
from orbitconv.models.backbones.vgg import vgg11_bn as vgg11_bn

BACKBONES: Mapping[str, Callable[..., Backbone]] = {
    "convnext-tiny": convnext_tiny,
    "efficientnet-b0": efficientnet_b0,
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "vgg11-bn": vgg11_bn,
}
"""Builders by name."""
