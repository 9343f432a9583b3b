"""Rotation in every dtype, under autocast and transforms, of masks and of empty batches."""

import math

import numpy as np
import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from scipy import ndimage
from torch import Tensor

from orbitconv.groups import Cyclic, Dihedral, act_features, act_image, rotate_images
from orbitconv.learn.gradient.rotators import rotate_gaussian
from raising import refuses


def smooth_picture(size: int) -> Tensor:
    """A smooth picture with values between 0 and 1."""
    rows, cols = np.indices((size, size)) / size
    return torch.from_numpy(0.5 + 0.25 * np.sin(9 * rows + 2) + 0.25 * np.cos(7 * cols * rows))


def scipy_turn(picture: np.ndarray, angle: float, order: int = 3) -> np.ndarray:
    """The rotation by SciPy, mirrored at the border pixels."""
    return ndimage.rotate(picture, math.degrees(angle), reshape=False, order=order, mode="mirror")


@pytest.mark.parametrize(("dtype", "atol"), [(torch.bfloat16, 5e-3), (torch.float16, 6e-4), (torch.float32, 1e-5)])
@pytest.mark.parametrize("size", [224, 512])
def test_rotation_of_rounded_pixels_is_that_of_scipy_to_the_rounding_of_the_dtype(dtype, atol, size):
    rounded = smooth_picture(size).to(dtype)
    found = rotate_images(rounded[None, None], 0.5, padding_mode="reflect")
    assert found.dtype == dtype
    expected = scipy_turn(rounded.double().numpy(), 0.5)
    assert np.abs(found[0, 0].double().numpy() - expected).max() < atol


@pytest.mark.parametrize("angles", [0.5, torch.tensor([0.5, -1.1])], ids=["one", "each"])
def test_autocast_changes_nothing(angles):
    images = smooth_picture(40).float().expand(2, 3, 40, 40)
    outside = rotate_images(images, angles)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(rotate_images(images, angles), outside)
        assert torch.equal(
            rotate_gaussian(images, Cyclic(8), 1, 0.4), _outside(rotate_gaussian, images, Cyclic(8), 1, 0.4)
        )


def _outside(function, *args):
    with torch.autocast("cpu", enabled=False):
        return function(*args)


# torch compiles its forward-mode formulas by TorchScript on first use.
compiles = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")


@compiles
@pytest.mark.parametrize("turn", [
    lambda x: rotate_images(x, 0.3),
    lambda x: rotate_images(x, torch.tensor([0.3, 0.7], dtype=torch.float64)),
    lambda x: rotate_gaussian(x, Cyclic(8), 1, 0.4),
], ids=["one angle", "each its angle", "gaussian"])  # fmt: skip
def test_derivatives_of_both_modes_and_of_second_order(turn):
    x = torch.randn(2, 1, 6, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(turn, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(lambda x: turn(x).square(), x)


def test_the_angle_has_a_second_derivative():
    angle = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    images = smooth_picture(12)[None, None]
    assert torch.autograd.gradgradcheck(lambda a: rotate_images(images, a, order=5), angle)


@compiles
def test_a_tangent_turns_as_the_image_does():
    x, along = torch.randn(2, 2, 1, 9, 9, dtype=torch.float64)
    with forward_ad.dual_level():
        turned = forward_ad.unpack_dual(rotate_images(forward_ad.make_dual(x, along), 0.3))
    torch.testing.assert_close(turned.tangent, rotate_images(along, 0.3), rtol=0, atol=1e-13)


def test_vmap_gives_what_a_loop_gives():
    x = torch.randn(3, 2, 1, 9, 9)
    expected = torch.stack([rotate_images(one, 0.3) for one in x])
    torch.testing.assert_close(torch.vmap(lambda one: rotate_images(one, 0.3))(x), expected)


@pytest.mark.parametrize("order", [0, 1, 3])
def test_vmap_over_images_and_angles_gives_what_a_loop_gives(order):
    x, angles = torch.randn(3, 2, 1, 9, 9), torch.tensor([0.3, -1.0, torch.pi / 2])
    expected = torch.stack([rotate_images(one, float(a), order=order) for one, a in zip(x, angles, strict=True)])
    found = torch.vmap(lambda one, angle: rotate_images(one, angle, order=order))(x, angles)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_derivative_of_each_sample_by_its_angle_is_that_of_a_loop():
    x, angles = torch.randn(3, 1, 1, 9, 9, dtype=torch.float64), torch.tensor([0.3, -1.0, 0.7], dtype=torch.float64)

    def loss(one, angle):
        return rotate_images(one, angle).square().sum()

    by_loop = torch.stack([torch.func.grad(loss, 1)(one, angle) for one, angle in zip(x, angles, strict=True)])
    torch.testing.assert_close(torch.vmap(torch.func.grad(loss, 1))(x, angles), by_loop)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float32])
def test_masks_turn_to_the_nearest_pixel_and_keep_their_classes(dtype):
    classes = torch.tensor([0, 3, 7])[torch.randint(3, (1, 1, 33, 33))].to(dtype)
    turned = rotate_images(classes, 0.4, order=0, fill=255)
    assert turned.dtype == dtype
    assert set(turned.unique().tolist()) == {0, 3, 7, 255}
    expected = ndimage.rotate(
        classes[0, 0].numpy(), math.degrees(0.4), reshape=False, order=0, mode="constant", cval=255
    )
    inside = np.hypot(*(np.indices((33, 33)) - 16)) < 15
    assert np.array_equal(turned[0, 0].numpy()[inside], expected[inside])


def test_masks_turn_exactly_by_quarters():
    mask = torch.randint(9, (1, 1, 8, 8))
    assert torch.equal(act_image(mask, Dihedral(8), 4, order=0), torch.rot90(mask, 2, (-2, -1)))
    assert torch.equal(rotate_images(mask, math.pi / 2, order=0), torch.rot90(mask, 1, (-2, -1)))


def test_masks_are_refused_by_splines_with_the_right_advice():
    refuses(TypeError, "order=0", rotate_images, torch.zeros(1, 1, 4, 4, dtype=torch.int64), 0.3)


@pytest.mark.parametrize("shape", [(0, 3, 8, 8), (2, 0, 8, 8)])
def test_no_images_turn_to_no_images(shape):
    empty = torch.zeros(shape)
    assert rotate_images(empty, 0.3).shape == shape
    assert rotate_images(empty, torch.zeros(shape[0])).shape == shape
    assert act_image(empty, Cyclic(8), 1).shape == shape
    assert rotate_gaussian(empty, Cyclic(8), 1, 0.4).shape == shape
    assert act_features(torch.zeros(0, 2, 8, 5, 5), Cyclic(8), 3).shape == (0, 2, 8, 5, 5)


@pytest.mark.parametrize("angle", [math.nan, math.inf])
def test_angles_that_are_not_finite_are_refused(angle):
    refuses(ValueError, "expects finite angles in radians", rotate_images, torch.zeros(1, 1, 4, 4), angle)


@pytest.mark.parametrize("angle", [math.nan, math.inf])
def test_one_angle_of_many_that_is_not_finite_gives_nan_and_is_refused_for_masks(angle):
    angles = torch.tensor([0.3, angle])
    turned = rotate_images(torch.ones(2, 1, 5, 5), angles)
    assert turned[0].isfinite().all()
    assert turned[1].isnan().all()
    with pytest.raises(ValueError, match="finite angles in radians to turn masks by"):
        rotate_images(torch.ones(2, 1, 5, 5, dtype=torch.int64), angles, order=0)


@pytest.mark.parametrize(
    ("dtype", "fill"), [(torch.uint8, -1), (torch.uint8, 256), (torch.int64, 0.5), (torch.bool, 2)]
)
def test_refuses_a_fill_that_the_mask_cannot_hold(dtype, fill):
    with pytest.raises(ValueError, match="expects a fill that torch"):
        rotate_images(torch.ones(1, 1, 5, 5, dtype=dtype), 0.3, order=0, fill=fill)


@pytest.mark.compile
@pytest.mark.filterwarnings("ignore:.*lru_cache")  # the prefilter becomes a part of the graph
@pytest.mark.parametrize("order", [0, 3])
def test_compiles_as_one_graph_with_its_gradient(order):
    turn = torch.compile(lambda x: rotate_images(x, 0.3, order=order), fullgraph=True, backend="aot_eager")
    for batch in (2, 3):
        x = torch.randn(batch, 1, 9, 9, requires_grad=True)
        weights = torch.randn(batch, 1, 9, 9)
        found, expected = turn(x), rotate_images(x, 0.3, order=order)
        torch.testing.assert_close(found, expected)
        (slope,) = torch.autograd.grad((found * weights).sum(), x)
        torch.testing.assert_close(slope, torch.autograd.grad((expected * weights).sum(), x)[0])
