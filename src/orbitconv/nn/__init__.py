"""Layers: plain tensors in and out, the group axis right after the channels."""

from orbitconv.nn.conv import BasisConv2d as BasisConv2d
from orbitconv.nn.conv import keeps_centre as keeps_centre
from orbitconv.nn.dropout import GroupDropout as GroupDropout
from orbitconv.nn.dropout import GroupDropout2d as GroupDropout2d
from orbitconv.nn.folding import fold as fold
from orbitconv.nn.folding import freeze as freeze
from orbitconv.nn.group_conv import GroupConv2d as GroupConv2d
from orbitconv.nn.lifting import LiftingConv2d as LiftingConv2d
from orbitconv.nn.norm import GroupBatchNorm2d as GroupBatchNorm2d
from orbitconv.nn.orbit_layout import OrbitLayout as OrbitLayout
from orbitconv.nn.orbit_layout import orbit_layout as orbit_layout
from orbitconv.nn.orbit_linear import OrbitLinear as OrbitLinear
from orbitconv.nn.pooling import BlurPool2d as BlurPool2d
from orbitconv.nn.pooling import GroupAvgPool2d as GroupAvgPool2d
from orbitconv.nn.pooling import GroupBlurPool2d as GroupBlurPool2d
from orbitconv.nn.pooling import GroupMaxPool2d as GroupMaxPool2d
from orbitconv.nn.pooling import GroupPool as GroupPool
from orbitconv.nn.products.cached import keep_filters as keep_filters
from orbitconv.nn.products.choice import explain as explain
from orbitconv.nn.restriction import GroupRestriction as GroupRestriction
from orbitconv.nn.separable import DepthwiseGroupConv2d as DepthwiseGroupConv2d
from orbitconv.nn.separable import SeparableGroupConv2d as SeparableGroupConv2d
from orbitconv.nn.upsampling import upsample_to as upsample_to
