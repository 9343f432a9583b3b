"""Finite groups of rotations and mirrors, and how they act on grids, images and features."""

from orbitconv.groups.action import act_features as act_features
from orbitconv.groups.action import act_image as act_image
from orbitconv.groups.action import act_regular as act_regular
from orbitconv.groups.cyclic import Cyclic as Cyclic
from orbitconv.groups.dihedral import Dihedral as Dihedral
from orbitconv.groups.grid import exact_elements as exact_elements
from orbitconv.groups.grid import grid_permutation as grid_permutation
from orbitconv.groups.grid import is_exact as is_exact
from orbitconv.groups.group import Group as Group
from orbitconv.groups.names import parse_group as parse_group
from orbitconv.groups.spline import rotate_images as rotate_images
from orbitconv.groups.subgroups import cosets as cosets
from orbitconv.groups.subgroups import embed as embed
