"""Moves, mirrors, turns and bends against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch

from orbitconv.train.augmentation import Draws, augment, draw
from orbitconv.train.settings import Augmentation

N = 400


def images(n, height=9, width=9):
    return torch.rand(n, 2, height, width, dtype=torch.float64)


def one(flip=False, down=0, right=0, quarters=0, degrees=0.0, pull=None):
    values = {"flip": flip, "down": down, "right": right, "quarters": quarters, "degrees": degrees}
    pull = torch.zeros(1, 2, 4, 4) if pull is None else pull
    return Draws(**{name: torch.tensor([value]) for name, value in values.items()}, pull=pull)


def drawn(config, seed=0):
    return draw(config, N, torch.Generator().manual_seed(seed))


def moved(image, down, right):
    """Through a wide frame of zeros."""
    padded = np.pad(image, ((0, 0), (0, 0), (4, 4), (4, 4)))
    return np.roll(padded, (down, right), (2, 3))[:, :, 4:-4, 4:-4]


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_mirror_then_move_then_quarter_turn_is_exact(side, flip, quarters):
    x = images(1, side, side)
    expected = moved((x.flip(-1) if flip else x).numpy(), 2, -3)
    got = augment(x, Augmentation(rotation="quarters", flip=True, crop=3), one(flip, 2, -3, quarters))
    assert np.array_equal(got, np.rot90(expected, quarters, (-2, -1)))


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("angle", [45, 135, 200.7, 359])
def test_a_turn_is_scipys(side, angle):
    x = images(1, side, side)
    got = augment(x, Augmentation(rotation="circle"), one(quarters=angle // 90, degrees=angle % 90.0))
    expected = scipy.ndimage.rotate(x.numpy(), angle, axes=(-1, -2), reshape=False, order=1, mode="grid-constant")
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


def cubic(values, at):
    """Keys' cubic of four values at 0 to 3, with a = -0.75 as PyTorch has it, the outermost ones going on."""

    def weight(t, a=-0.75):
        t = abs(t)
        if t <= 1:
            return (a + 2) * t**3 - (a + 3) * t**2 + 1
        return a * (t**3 - 5 * t**2 + 8 * t - 4) if t < 2 else 0.0

    first = int(np.floor(at))
    return sum(weight(at - n) * values[min(max(n, 0), 3)] for n in range(first - 1, first + 3))


@pytest.mark.parametrize(("height", "width", "angle"), [(8, 8, 0), (9, 9, 250), (6, 9, 0)])
def test_a_bend_is_scipys(height, width, angle):
    x, pull = images(1, height, width), torch.randn(1, 2, 4, 4, dtype=torch.float64)
    config = Augmentation(rotation="circle" if angle else "none", elastic=1.0)
    got = augment(x, config, one(quarters=angle // 90, degrees=angle % 90.0, pull=pull))[0]
    places = np.empty((2, height, width))
    for row in range(height):
        for col in range(width):
            at = 3 * row / (height - 1), 3 * col / (width - 1)
            right, down = (cubic([cubic(line, at[1]) for line in one], at[0]) for one in pull[0].numpy())
            offset = complex(col - right - (width - 1) / 2, row - down - (height - 1) / 2)
            offset *= np.exp(1j * np.deg2rad(angle))  # rows count downwards: this looks back along the turn
            places[:, row, col] = offset.imag + (height - 1) / 2, offset.real + (width - 1) / 2
    for plane, expected in zip(got, x[0].numpy(), strict=True):
        expected = scipy.ndimage.map_coordinates(expected, places, order=1, mode="grid-constant")
        np.testing.assert_allclose(plane, expected, rtol=0, atol=1e-6)


def test_quarter_turns_among_eighths_are_exact():
    x, config = images(N), Augmentation(rotation="eighths")
    draws = drawn(config)
    got, exact = augment(x, config, draws), draws.degrees == 0
    for n in exact.nonzero()[:, 0].tolist():
        assert torch.equal(got[n], torch.rot90(x[n], int(draws.quarters[n]), (-2, -1)))
    assert 0.4 < exact.double().mean() < 0.6


def test_an_image_that_is_not_square_is_moved_but_not_turned():
    x = images(1, 6, 9)
    assert np.array_equal(augment(x, Augmentation(crop=4), one(down=-1, right=4)), moved(x.numpy(), -1, 4))
    with pytest.raises(ValueError, match="square images, got 6x9"):
        augment(x, Augmentation(rotation="quarters"), one())


@pytest.mark.parametrize(("rotation", "step"), [("none", 360), ("quarters", 90), ("eighths", 45)])
def test_angles_are_multiples_and_all_occur(rotation, step):
    draws = drawn(Augmentation(rotation=rotation))
    angles = 90 * draws.quarters + draws.degrees
    assert angles.unique().tolist() == list(range(0, 360, step))


def test_pulls_are_normal_and_leave_other_draws_as_they_are():
    bent, straight = (drawn(Augmentation(rotation="circle", crop=2, elastic=sigma)) for sigma in (0.7, 0.0))
    assert scipy.stats.kstest(bent.pull.flatten().double().numpy(), scipy.stats.norm(0, 0.7).cdf).pvalue > 0.01
    assert torch.equal(bent.degrees, straight.degrees)
    assert not straight.pull.any()


def test_a_share_of_a_batch_gets_its_share_of_the_draws():
    x, config = images(N), Augmentation(rotation="eighths", flip=True, crop=2, elastic=0.5)
    draws, whole = drawn(config), augment(x, config, drawn(config))
    share = slice(7, 31)
    assert torch.equal(augment(x[share], config, draws.part(share, x.device)), whole[share])
