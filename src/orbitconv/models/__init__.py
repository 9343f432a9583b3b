"""Networks for any basis and group, and their plain twins; what they cost, and how wide they shall be."""

from orbitconv.models.all_cnn_c import AllCNNC as AllCNNC
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
