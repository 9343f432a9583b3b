"""Networks for any basis and group, and their plain twins; what they cost, and how wide they shall be."""

from orbitconv.models.all_cnn_c import AllCNNC as AllCNNC
from orbitconv.models.backbones import BACKBONES as BACKBONES
from orbitconv.models.backbones import convnext_tiny as convnext_tiny
from orbitconv.models.backbones import efficientnet_b0 as efficientnet_b0
from orbitconv.models.backbones import encoder_unet as encoder_unet
from orbitconv.models.backbones import resnet18 as resnet18
from orbitconv.models.backbones import resnet34 as resnet34
from orbitconv.models.backbones import resnet50 as resnet50
from orbitconv.models.backbones import vgg11_bn as vgg11_bn
from orbitconv.models.classifier import Classifier as Classifier
from orbitconv.models.counting import count_multiply_adds as count_multiply_adds
from orbitconv.models.counting import count_parameters as count_parameters
from orbitconv.models.layers import Layers as Layers
from orbitconv.models.p4cnn import P4CNN as P4CNN
from orbitconv.models.registry import MODELS as MODELS
from orbitconv.models.registry import build_model as build_model
from orbitconv.models.resnet import ResNet as ResNet
from orbitconv.models.small import SmallCNN as SmallCNN
from orbitconv.models.summary import Summary as Summary
from orbitconv.models.summary import summary as summary
from orbitconv.models.turned_copies import TurnedCopies as TurnedCopies
from orbitconv.models.unet import UNet as UNet
from orbitconv.models.wide_resnet import WideResNet as WideResNet
from orbitconv.models.width import width_for as width_for
