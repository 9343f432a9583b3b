"""The hexagonal lattice: its points, images on it, their turns, and the way from pixels and back."""

from orbitconv.hexagonal.action import act_hexagonal as act_hexagonal
from orbitconv.hexagonal.action import rotate_hexagonal as rotate_hexagonal
from orbitconv.hexagonal.action import turn_hexagonal as turn_hexagonal
from orbitconv.hexagonal.grid import HexagonalGrid as HexagonalGrid
from orbitconv.hexagonal.image import HexagonalImage as HexagonalImage
from orbitconv.hexagonal.moves import exact_hexagonal_elements as exact_hexagonal_elements
from orbitconv.hexagonal.moves import hexagonal_permutation as hexagonal_permutation
from orbitconv.hexagonal.resampling import to_hexagonal as to_hexagonal
from orbitconv.hexagonal.resampling import to_square as to_square
