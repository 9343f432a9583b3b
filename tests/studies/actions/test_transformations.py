"""Transformations by name, and functions of the user."""

import math

import pytest
import torch

from references import smooth_images
from studies.actions.transformations import (
    SCALE_STEP,
    TRANSFORMATIONS,
    Transformation,
    find_transformation,
    rotate_hue,
    scale_images,
)
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


def test_a_shift_with_zero_fill_loses_the_last_column():
    moved = find_transformation("shift-x-zero")(torch.arange(1.0, 10).reshape(1, 1, 3, 3))
    assert moved.flatten().tolist() == [0, 1, 2, 0, 4, 5, 0, 7, 8]


def test_scaling_enlarges_about_the_centre_and_keeps_norms():
    rows = torch.arange(33, dtype=torch.float64) - 16
    bump = torch.exp(-(rows[:, None].square() + rows.square()) / (2 * 3.0**2))[None, None]
    wide = torch.exp(-(rows[:, None].square() + rows.square()) / (2 * (3.0 * SCALE_STEP) ** 2)) / SCALE_STEP
    torch.testing.assert_close(scale_images(bump)[0, 0], wide, rtol=0, atol=2e-3)
    assert float(scale_images(bump).norm() / bump.norm()) == pytest.approx(1, abs=1e-3)
    images = smooth_images()[:, :1]
    torch.testing.assert_close(scale_images(images, 1.0), images, rtol=0, atol=1e-12)


def test_a_third_of_a_turn_takes_red_to_green_and_keeps_grey():
    red = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).reshape(1, 3, 1, 1)
    assert torch.allclose(rotate_hue(red, 2 * math.pi / 3).flatten(), torch.tensor([0.0, 1.0, 0.0]).double())
    grey = torch.full((1, 3, 2, 2), 0.4, dtype=torch.float64)
    torch.testing.assert_close(rotate_hue(grey, 1.0), grey, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="three channels, got 1"):
        rotate_hue(red[:, :1])


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_function_of_the_current_folder_is_found(in_folder):
    (in_folder / "my_own_moves.py").write_text("def negative(x):\n    return -x\n")
    transformation = find_transformation("my_own_moves:negative")
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(transformation(x), -x)
    with pytest.raises(ValueError, match=r"no function negativ\. Did you mean 'my_own_moves:negative'\?"):
        find_transformation("my_own_moves:negativ")


def test_a_function_of_a_class_is_found(in_folder):
    (in_folder / "kept_moves.py").write_text("class K:\n    @staticmethod\n    def f(x):\n        return -x\n")
    x = torch.rand(2, 1, 4, 4)
    assert torch.equal(find_transformation("kept_moves:K.f")(x), -x)
    with pytest.raises(ValueError, match=r"no function K\.g\."):
        find_transformation("kept_moves:K.g")


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("shift_x", "", "Did you mean 'shift-x"),
        ("shift", "", "module:function"),
        (":f", "", "module:function"),
        ("no_such_module_here:f", "", "There is no module no_such_module_here"),
        ("broken_one:f", "1 / 0", "cannot be imported .ZeroDivisionError"),
        ("needy_one:f", "import no_such_library", "needs no_such_library"),
        ("leaving_one:f", "raise SystemExit(0)", "cannot be imported .SystemExit"),
        ("misspelt_one:f", "def f(:", "cannot be imported .SyntaxError"),
    ],
)
def test_names_that_stand_for_nothing_are_refused(in_folder, name, source, words):
    if source:
        (in_folder / f"{name.split(':')[0]}.py").write_text(source)
    with pytest.raises(ValueError, match=words):
        find_transformation(name)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match=r"math:pi is of type float"):
        find_transformation("math:pi")


def leave(images):
    raise SystemExit(0)


def refused(function):
    """What the user is told about a function."""
    transformation = Transformation(name="mine:f", words="", function=function)
    with pytest.raises((ValueError, TypeError)) as told:
        transformation.check(torch.rand(3, 1, 6, 6))
    return str(told.value)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x[..., 1:], "must return the shape"),
        (lambda x: x.numpy(), "must return a tensor, got ndarray"),
        (lambda x: x.log().log(), "NaN or infinite"),
        (lambda x: x > 0.5, "real numbers"),
        (lambda x: x + torch.fft.fft2(x), "real numbers"),
        (lambda x: x.roll(1, 0), "written for one image"),
        (lambda x: x + torch.randn_like(x), "Is it random"),
        (lambda c, h: c + h, "torch.vmap"),
        (leave, "failed on a float tensor of shape (3, 1, 6, 6) (SystemExit: 0)"),
    ],
)
def test_functions_that_are_no_transformation_are_refused_with_a_reason(function, words):
    assert words in " ".join(refused(function).split())


def test_a_function_of_one_image_is_told_how_to_take_a_batch():
    def one_image(x):
        channels, _, _ = x.shape
        return x.reshape(channels, 6, 6)

    assert "torch.vmap" in refused(one_image)
    Transformation(name="f", words="", function=torch.vmap(one_image)).check(torch.rand(3, 1, 6, 6))
