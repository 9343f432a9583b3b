import math

import numpy as np
import pytest
import torch

from orbitconv.groups import rotate_images
from references import rotate

SCIPY_MODE = {"zeros": "constant", "reflect": "mirror"}


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
@pytest.mark.parametrize("order", [1, 3, 5])
@pytest.mark.parametrize("size", [(9, 9), (8, 11), (12, 5)])
@pytest.mark.parametrize("degrees", [17, 45, 133, -71, 400])
def test_one_angle_matches_scipy(padding_mode, order, size, degrees):
    x = torch.randn(2, 2, *size, dtype=torch.float64)
    turned = rotate_images(x, math.radians(degrees), order=order, padding_mode=padding_mode)
    for image, result in zip(x.flatten(0, 1).numpy(), turned.flatten(0, 1).numpy(), strict=True):
        expected = rotate(image, math.radians(degrees), order=order, mode=SCIPY_MODE[padding_mode])
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-11)


@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
@pytest.mark.parametrize("order", [1, 3, 5])
def test_an_angle_for_each_of_many_images_matches_scipy(padding_mode, order):
    x = torch.randn(300, 1, 6, 7, dtype=torch.float64)  # more than are turned at once
    angles = torch.linspace(-7, 7, 300, dtype=torch.float64)
    turned = rotate_images(x, angles, order=order, padding_mode=padding_mode)
    for i in range(300):
        expected = rotate(x[i, 0].numpy(), float(angles[i]), order=order, mode=SCIPY_MODE[padding_mode])
        np.testing.assert_allclose(turned[i, 0], expected, rtol=0, atol=1e-11)


def test_one_angle_and_equal_angles_agree():
    x = torch.randn(3, 2, 8, 8, dtype=torch.float64)
    angles = torch.full((3,), 0.4, dtype=torch.float64)
    torch.testing.assert_close(rotate_images(x, 0.4), rotate_images(x, angles), rtol=0, atol=1e-13)
    torch.testing.assert_close(rotate_images(x, 0.4), rotate_images(x, angles[0]), rtol=0, atol=1e-15)


@pytest.mark.parametrize("order", [1, 3, 5])
@pytest.mark.parametrize("padding_mode", ["zeros", "reflect"])
def test_turns_counter_clockwise_as_displayed(order, padding_mode):
    x = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    x[0, 0, 20, 30] = 1  # right of the centre
    turned = rotate_images(x, math.radians(30), order=order, padding_mode=padding_mode)[0, 0]
    row, col = divmod(int(turned.argmax()), 41)
    assert (row, col) == (15, 29)  # up and to the left: 20 - 10 sin 30, 20 + 10 cos 30


@pytest.mark.parametrize("quarters", range(-4, 5))
def test_quarter_turns_are_exact(quarters):
    x = torch.randn(2, 3, 6, 6)
    assert torch.equal(rotate_images(x, quarters * math.pi / 2), torch.rot90(x, quarters, (-2, -1)))


@pytest.mark.parametrize("order", [1, 3, 5])
def test_quarter_turns_for_each_image_keep_the_border(order):
    x = torch.randn(4, 1, 6, 6, dtype=torch.float64)
    angles = torch.arange(1, 5, dtype=torch.float64) * math.pi / 2
    expected = torch.cat([torch.rot90(x[i : i + 1], i + 1, (-2, -1)) for i in range(4)])
    torch.testing.assert_close(rotate_images(x, angles, order=order), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("order", [1, 3, 5])
def test_gradient_flows_to_images_and_angles(order):
    x = torch.randn(2, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    angles = torch.tensor([0.3, -1.1], dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(
        lambda x, a: rotate_images(x, a, order=order, padding_mode="reflect"), (x, angles), atol=1e-6
    )
    torch.autograd.gradcheck(lambda x: rotate_images(x, 0.3, order=order), (x,))


def test_single_rows_and_pixels_are_images_too():
    x = torch.randn(2, 1, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(rotate_images(x, 0.3), x, rtol=0, atol=1e-15)
    line = torch.randn(1, 1, 1, 5, dtype=torch.float64)
    expected = rotate(line[0, 0].numpy(), 0.3, order=3, mode="mirror")
    np.testing.assert_allclose(rotate_images(line, 0.3, padding_mode="reflect")[0, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(5, 5), (1, 5, 5), (1, 1, 1, 5, 5)])
def test_refuses_other_ranks(shape):
    with pytest.raises(ValueError, match=r"rotate_images expects \(batch, channels, height, width\), got shape"):
        rotate_images(torch.zeros(shape), 0.3)


@pytest.mark.parametrize("shape", [(2,), (4,), (3, 1)])
def test_refuses_another_number_of_angles(shape):
    with pytest.raises(ValueError, match="one angle, or one for each of 3 images, got angles of shape"):
        rotate_images(torch.zeros(3, 1, 5, 5), torch.zeros(shape))


@pytest.mark.parametrize("angle", [0.3, 0.0])
@pytest.mark.parametrize("order", [2, 4, 7])
def test_refuses_other_orders_at_every_angle(order, angle):
    with pytest.raises(ValueError, match=rf"orders \[1, 3, 5\], got {order}"):
        rotate_images(torch.zeros(1, 1, 5, 5), angle, order=order)


@pytest.mark.parametrize("angle", [0.3, 0.0])
def test_refuses_unknown_padding_at_every_angle(angle):
    with pytest.raises(ValueError, match="padding_mode is 'zeros' or 'reflect', got 'wrap'"):
        rotate_images(torch.zeros(1, 1, 5, 5), angle, padding_mode="wrap")


def test_refuses_integer_images_that_it_would_have_to_interpolate():
    with pytest.raises(TypeError, match=r"floating-point images for splines, got torch\.uint8"):
        rotate_images(torch.zeros(1, 1, 5, 5, dtype=torch.uint8), 0.3)
