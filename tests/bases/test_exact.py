import itertools

import numpy as np
import pytest
import torch

from orbitconv.bases import ExactBasis
from orbitconv.groups import Cyclic, Dihedral
from references import turn

GROUPS = [Cyclic(1), Cyclic(2), Cyclic(4), Dihedral(1), Dihedral(2), Dihedral(4)]


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_atoms_are_pixels_that_turn_as_images_do(group, size):
    atoms = ExactBasis(group, size)(torch.float64)
    pixels = torch.eye(size**2, dtype=torch.float64).reshape(-1, size, size)
    for g in range(group.order):
        quarters = 4 // group.num_rotations * int(group.rotation_steps[g])
        assert torch.equal(atoms[g], turn(pixels, quarters, mirror=bool(group.mirrors[g])))


@pytest.mark.parametrize("kernel_size", [(3, 5), (5, 3), (2, 4), (1, 3)])
@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_rectangles_turn_inside_the_enclosing_square(group, kernel_size):
    basis = ExactBasis(group, kernel_size)
    side = max(kernel_size)
    assert basis.kernel_size == (kernel_size if group.num_rotations <= 2 else (side, side))
    assert basis.num_atoms == kernel_size[0] * kernel_size[1]
    margins = [(outer - inner) // 2 for outer, inner in zip(basis.kernel_size, kernel_size, strict=True)]
    expected = []
    for row, col in itertools.product(*map(range, kernel_size)):
        pixel = np.zeros(basis.kernel_size)
        pixel[row + margins[0], col + margins[1]] = 1
        expected.append(pixel)
    np.testing.assert_array_equal(basis(torch.float64)[0], expected)
    for g in range(group.order):
        quarters = 4 // group.num_rotations * int(group.rotation_steps[g])
        moved = turn(torch.from_numpy(np.stack(expected)), quarters, mirror=bool(group.mirrors[g]))
        assert torch.equal(basis(torch.float64)[g], moved)


@pytest.mark.parametrize("group", [Cyclic(3), Cyclic(5), Cyclic(8), Dihedral(3), Dihedral(8)], ids=str)
def test_refuses_turns_between_the_quarters(group):
    with pytest.raises(ValueError, match=rf"ExactBasis expects a group of quarter turns .* got {group}.*UnitaryBasis"):
        ExactBasis(group, 3)


@pytest.mark.parametrize("group", [Cyclic(3), Cyclic(8), Dihedral(5)], ids=str)
def test_one_pixel_is_exact_for_every_group(group):
    assert torch.equal(ExactBasis(group, 1)(), torch.ones(group.order, 1, 1, 1))


@pytest.mark.parametrize("kernel_size", [(2, 3), (4, 1)])
def test_refuses_rectangles_without_a_common_centre(kernel_size):
    with pytest.raises(ValueError, match="no common centre with its quarter turn: make both sides odd or both even"):
        ExactBasis(Cyclic(4), kernel_size)
    assert ExactBasis(Cyclic(2), kernel_size).kernel_size == kernel_size  # half turns need no common centre


@pytest.mark.parametrize(("kernel_size", "error", "message"), [
    (0, ValueError, r"ExactBasis expects kernel_size\[0\] >= 1, got 0"),
    ((3, -1), ValueError, r"kernel_size\[1\] >= 1, got -1"),
    ((3, 3, 3), ValueError, r"one integer or a pair \(height, width\), got \(3, 3, 3\)"),
    (3.0, TypeError, r"kernel_size\[0\] to be an integer, got 3.0"),
])  # fmt: skip
def test_refuses_bad_sizes(kernel_size, error, message):
    with pytest.raises(error, match=message):
        ExactBasis(Cyclic(4), kernel_size)
