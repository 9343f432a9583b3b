"""Transformations by name, and functions of the user."""

import pytest
import torch

from studies.actions.transformations import TRANSFORMATIONS, Transformation, find_transformation
from transformations import relative


@pytest.mark.parametrize("name", TRANSFORMATIONS)
def test_built_in_transformations_are_linear_and_act_on_each_image(name):
    transformation = find_transformation(name)
    x, y = torch.rand(2, 4, 3 if transformation.color else 1, 9, 9, dtype=torch.float64)
    before = x.clone()
    moved = transformation(x)
    assert torch.equal(x, before)
    assert moved.shape == x.shape
    torch.testing.assert_close(transformation(2 * x - y), 2 * moved - transformation(y), rtol=0, atol=1e-12)
    transformation.check(x)


@pytest.mark.parametrize(
    ("name", "order"), [("shift-x", 9), ("shift-y", 9), ("quarter-turn", 4), ("mirror", 2), ("hue", 12)]
)
def test_transformations_without_loss_come_back_after_their_order(name, order):
    start = x = torch.rand(2, 3, 9, 9, dtype=torch.float64)
    for step in range(order):
        assert step == 0 or relative(x, start) > 0.1
        x = find_transformation(name)(x)
    torch.testing.assert_close(x, start, rtol=0, atol=1e-12)


def leave(images):
    raise SystemExit(0)


def refused(function):
    """What the user is told about a function."""
    transformation = Transformation(name="mine:f", words="", function=function)
    with pytest.raises((ValueError, TypeError)) as told:
        transformation.check(torch.rand(3, 1, 6, 6))
    return str(told.value)


@pytest.mark.parametrize(("function", "words"), [
    (lambda x: x[..., 1:], "must return the shape"),
    (lambda x: x.numpy(), "must return a tensor, got ndarray"),
    (lambda x: x.log().log(), "finite real numbers"),
    (lambda x: x > 0.5, "real numbers"),
    (lambda x: x + torch.fft.fft2(x), "real numbers"),
    (lambda x: x.roll(1, 0), "written for one image"),
    (lambda x: x + torch.randn_like(x), "Is it random"),
    (lambda c, h: c + h, "torch.vmap"),
    (leave, "failed on a float tensor of shape (3, 1, 6, 6) (SystemExit: 0)"),
])  # fmt: skip
def test_functions_that_are_no_transformation_are_refused_with_a_reason(function, words):
    assert words in " ".join(refused(function).split())
