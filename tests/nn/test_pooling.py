import numpy as np
import pytest
import torch
import torch.nn.functional as F

from orbitconv.nn import BlurPool2d, GroupAvgPool2d, GroupBlurPool2d, GroupMaxPool2d, GroupPool
from raising import refuses
from references import correlate, turn

POOLS = [(GroupMaxPool2d, F.max_pool2d), (GroupAvgPool2d, F.avg_pool2d)]


@pytest.mark.parametrize(("pool", "plane_pool"), POOLS)
@pytest.mark.parametrize("arguments", [(2,), (3,), (3, 2), (3, 2, 1), ((2, 3),), ((2, 3), (1, 2), (1, 1))], ids=str)
def test_pools_every_plane_by_itself(pool, plane_pool, arguments):
    x = torch.randn(2, 3, 4, 7, 8, dtype=torch.float64)
    y = pool(*arguments)(x)
    for b, c, g in np.ndindex(2, 3, 4):
        assert torch.equal(y[b, c, g], plane_pool(x[b, c, g][None, None], *arguments)[0, 0])


@pytest.mark.parametrize("size", [(3, 3), (8, 8), (9, 9), (7, 10), (4, 3), (32, 15)])
def test_blur_pool_is_a_binomial_low_pass_that_keeps_the_centre(size):
    x = torch.randn(1, 2, 3, *size, dtype=torch.float64)
    y = GroupBlurPool2d()(x)
    assert y.shape == (1, 2, 3, *((side + 1) // 2 for side in size))
    weights = {0: np.poly1d([1, 1]) ** 3, 1: np.poly1d([1, 1]) ** 4}  # (1 + z)^n has the binomial coefficients
    rows, cols = (weights[side % 2].coeffs / weights[side % 2].coeffs.sum() for side in size)
    padding = [(2, 2) if side % 2 else (1, 1) for side in size]
    for c, g in np.ndindex(2, 3):
        plane = np.pad(x[0, c, g].numpy(), padding, mode="reflect")
        np.testing.assert_allclose(y[0, c, g], correlate(plane, np.outer(rows, cols), (2, 2)), rtol=0, atol=1e-14)


@pytest.mark.parametrize("size", [(8, 8), (9, 9), (7, 10), (4, 3), (6, 12)])
@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_blur_pool_is_exact_under_turns_and_mirrors_at_every_size(size, quarters, mirror):
    x = torch.randn(2, 2, 3, *size, dtype=torch.float64)
    pool = GroupBlurPool2d()
    torch.testing.assert_close(
        pool(turn(x, quarters, mirror=mirror)), turn(pool(x), quarters, mirror=mirror), rtol=0, atol=1e-14
    )


def test_blur_pool_keeps_constants_and_removes_the_checkerboard():
    pool = GroupBlurPool2d()
    ones = torch.ones(1, 1, 2, 8, 9, dtype=torch.float64)
    torch.testing.assert_close(pool(ones), torch.ones(1, 1, 2, 4, 5, dtype=torch.float64), rtol=0, atol=1e-15)
    rows, cols = torch.meshgrid(torch.arange(8), torch.arange(9), indexing="ij")
    checkerboard = (1 - 2 * ((rows + cols) % 2)).double()[None, None, None]
    assert pool(checkerboard).abs().max() < 1e-15


@pytest.mark.parametrize("reduction", ["max", "mean"])
def test_group_pool_reduces_the_group_axis_alone(reduction):
    x = torch.randn(2, 3, 5, 4, 6, dtype=torch.float64)
    expected = getattr(np, reduction)(x.numpy(), axis=2)
    np.testing.assert_allclose(GroupPool(reduction)(x), expected, rtol=0, atol=1e-15)


def test_group_pool_refuses_unknown_reductions():
    refuses(ValueError, "GroupPool expects reduction 'max', 'mean' or 'mean-max', got 'sum'", GroupPool, "sum")


SMALL = "expects planes of at least 3x3 pixels, got"
ON_GROUPS = (GroupMaxPool2d(2), GroupAvgPool2d(2), GroupBlurPool2d(), GroupPool())


@pytest.mark.parametrize(("layer", "shape", "message"), [
    *((layer, (1, 2, 6, 6), r"expects input of shape \(batch, channels, group") for layer in ON_GROUPS),
    *((GroupBlurPool2d(), (1, 1, 2, *size), SMALL) for size in ((2, 5), (5, 2), (1, 1))),
    (BlurPool2d(), (1, 1, 2, 6), SMALL),
    (BlurPool2d(), (1, 1, 2, 6, 6), "expects input of shape .* Use GroupBlurPool2d on feature maps"),
], ids=str)  # fmt: skip
def test_refuses_planes_on_no_group_and_others_that_do_not_fit(layer, shape, message):
    refuses(ValueError, f"{type(layer).__name__} {message}", layer, torch.zeros(shape))


@pytest.mark.parametrize("pool", [GroupMaxPool2d, GroupAvgPool2d])
def test_refuses_sizes_below_one(pool):
    refuses(ValueError, rf"{pool.__name__} expects kernel_size\[0\] >= 1, got 0", pool, 0)
    refuses(ValueError, rf"{pool.__name__} expects stride\[1\] >= 1, got 0", pool, 2, (1, 0))
