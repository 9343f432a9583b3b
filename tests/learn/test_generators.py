import math
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch

from orbitconv.data import load
from orbitconv.learn import close_group, fit_action
from orbitconv.nn import orbit_layout
from raising import refuses
from transformations import SIDE, correlated_images, matrix_of, relative, zero_shift

PIXELS = SIDE * SIDE
ONE = torch.eye(PIXELS, dtype=torch.float64)
SHIFTS = [matrix_of(lambda x, axis=axis: x.roll(1, axis)) for axis in (-2, -1)]


def random_rotation(size=PIXELS):
    return torch.linalg.qr(torch.randn(size, size, dtype=torch.float64)).Q


def cycle(size, steps=1):
    return torch.eye(size, dtype=torch.float64).roll(steps, 0)


def jittered(matrix, noise):
    """The matrix after a small random rotation."""
    tilt = torch.randn_like(matrix)
    return torch.linalg.matrix_exp(noise * (tilt - tilt.T)) @ matrix


def learned_zero_shifts(mix, noise=0.0, n=400):
    images = correlated_images(n)

    def seen(x):
        return x.flatten(1) @ mix.T + noise * torch.randn(n, PIXELS, dtype=torch.float64)

    return [fit_action((seen(images), seen(zero_shift(images.clone(), axis)))) for axis in (1, 2)]


def check_group(group):
    """The laws of a product of cyclic groups, to machine precision."""
    one = torch.eye(group.generators.shape[-1], dtype=torch.float64)
    for generator, order in zip(group.generators, group.orders, strict=True):
        torch.testing.assert_close(generator @ generator.T, one, rtol=0, atol=1e-12)
        torch.testing.assert_close(torch.linalg.matrix_power(generator, order), one, rtol=0, atol=1e-11)
        for other in group.generators:
            torch.testing.assert_close(generator @ other, other @ generator, rtol=0, atol=1e-12)


@pytest.mark.parametrize("noise", [0, 0.02])
def test_shifts_with_zero_fill_close_to_the_cyclic_shifts_in_any_pixel_order(noise):
    mix = ONE[torch.randperm(PIXELS)]
    group = close_group(learned_zero_shifts(mix, noise), (SIDE, SIDE))
    assert group.is_permutation
    for found, shift in zip(group.generators, SHIFTS, strict=True):
        assert torch.equal(found, mix @ shift @ mix.T)
    assert torch.equal(group.origin, mix[:, 0])  # the pixel in the corner
    assert torch.equal(orbit_layout(group.generators, group.orders, group.origin), mix.T)
    if not noise:
        assert max(*group.closure_errors, *group.changes, group.commutator_error) < 1e-10


def test_shifts_with_zero_fill_close_after_any_rotation_of_the_features():
    mix = random_rotation()
    group = close_group(learned_zero_shifts(mix), (SIDE, SIDE))
    assert not group.is_permutation
    check_group(group)
    for found, shift in zip(group.generators, SHIFTS, strict=True):
        torch.testing.assert_close(found, mix @ shift @ mix.T, rtol=0, atol=1e-10)
    rows = orbit_layout(group.generators, group.orders, group.origin)
    sign = (rows[0] @ mix[:, 0]).sign()
    torch.testing.assert_close(sign * rows, mix.T, rtol=0, atol=1e-9)


def test_features_that_are_never_lit_fill_the_gaps():
    images = correlated_images(600)
    images[:, [0, 0, 1, -1], [0, 1, 0, -1]] = 0  # three pixels of a corner, and one of another
    images[:, :, 0] = 0  # and a whole column
    moved = [zero_shift(images.clone(), axis) for axis in (1, 2)]
    for x in moved:
        x[:, [0, 0, 1, -1], [0, 1, 0, -1]] = 0
        x[:, :, 0] = 0
    lit = images.abs().amax(0) > 0
    order = torch.randperm(PIXELS)
    pairs = [(images.flatten(1)[:, order], x.flatten(1)[:, order]) for x in moved]
    group = close_group([fit_action(pair) for pair in pairs], (SIDE, SIDE))
    check_group(group)
    assert group.is_permutation
    layout = orbit_layout(group.generators, group.orders, group.origin)
    laid_out = (images.flatten(1)[:, order] @ layout.T).reshape(images.shape)
    assert torch.equal(laid_out.roll(SIDE - 1 - int(laid_out[0].any(0).nonzero().max()), 2), images)
    assert int(lit.sum()) == PIXELS - SIDE - 3 + 1


def test_noisy_permutations_are_rounded():
    group = close_group([jittered(shift, 0.008) for shift in SHIFTS], (SIDE, SIDE))
    assert group.is_permutation
    assert torch.equal(group.generators, torch.stack(SHIFTS))
    assert group.origin is None
    assert group.changes[0] == pytest.approx(relative(jittered(SHIFTS[0], 0.008), SHIFTS[0]), rel=0.1)


def mixing(degrees):
    """A rotation of every pair of neighbouring features."""
    angle = math.radians(degrees)
    turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]], dtype=torch.float64)
    return torch.block_diag(*[turn] * (PIXELS // 2))


@pytest.mark.parametrize("degrees", [5, 15, 29])
def test_what_mixes_features_is_not_rounded_to_permutations_where_data_leave_gaps(degrees):
    images = correlated_images(600)
    images[:, [0, -1]] = 0
    images[:, :, [0, -1]] = 0
    mix = mixing(degrees)
    pairs = [(images.flatten(1), images.roll(1, axis).flatten(1) @ mix.T) for axis in (1, 2)]
    with pytest.raises(ValueError, match="determined on 36 of 64 directions, and 28 directions are left open"):
        close_group([fit_action(pair, rank=36) for pair in pairs], (SIDE, SIDE))


def test_a_permutation_that_is_far_from_what_was_learned_is_told():
    images = correlated_images(600)
    pairs = [(images.flatten(1), images.roll(1, axis).flatten(1) @ mixing(29).T) for axis in (1, 2)]
    with pytest.warns(UserWarning, match=r"change the generators by 50\.\d%, 50\.\d%"):
        close_group([fit_action(pair) for pair in pairs], (SIDE, SIDE))


def test_a_change_that_the_noise_of_the_pairs_explains_is_none_to_warn_of():
    images = correlated_images(200)
    moved = [images.roll(1, axis) + 0.4 * torch.randn_like(images) for axis in (1, 2)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fit_action")
        actions = [fit_action((images, x)) for x in moved]
    group = close_group(actions, (SIDE, SIDE))
    assert torch.equal(group.generators, torch.stack(SHIFTS))
    assert min(group.changes) > 0.1
    with pytest.warns(UserWarning, match="change the generators"):
        close_group([action.matrix for action in actions], (SIDE, SIDE))


def test_noisy_gaps_are_filled():
    images = correlated_images(600)
    images[:, :, 0] = 0
    moved = [zero_shift(images.clone(), axis) for axis in (1, 2)]
    moved[1][:, :, 0] = 0
    lit = images.abs().amax(0) > 0
    noisy = [(f + 0.05 * torch.randn_like(f) * lit for f in (images, x)) for x in moved]
    group = close_group([fit_action(tuple(pair)) for pair in noisy], (SIDE, SIDE))
    assert group.is_permutation
    for axis, generator in enumerate(group.generators):
        laid_out = images.flatten(1) @ generator.T
        inner = laid_out.reshape(images.shape)[:, 1:, 2:]
        assert torch.equal(inner, moved[axis][:, 1:, 2:])


@pytest.mark.parametrize("orders", [(7, 9), (3, 4, 5), (12,)])
def test_rounded_eigenvalues_belong_to_the_nearest_matrices_in_whatever_order_they_come(orders):
    mix = random_rotation(math.prod(orders))
    shifts = [matrix_of(lambda x, axis=axis: x.roll(1, axis + 1), orders) for axis in range(len(orders))]
    given = [jittered(mix @ shift @ mix.T, 1e-3) for shift in shifts]
    group = close_group(given, orders)
    check_group(group)
    # No turn of all matrices together brings them nearer: the derivative of the squared distance is zero.
    pull = sum(M @ A.T - A.T @ M for A, M in zip(given, group.generators, strict=True))
    assert float((pull - pull.T).norm()) < 1e-6
    backwards = close_group(given[::-1], orders[::-1])
    torch.testing.assert_close(backwards.generators.flip(0), group.generators, rtol=0, atol=1e-6)


@pytest.mark.parametrize("orders", [(8, 8), (5, 3), (7,), (2, 4, 3), (1, 6)])
def test_eigenvalues_are_rounded_to_commuting_roots_of_one(orders):
    size = 2 * math.prod(orders)  # every character twice
    mix = random_rotation(size)
    exact = []
    for axis in range(len(orders)):
        shift = matrix_of(lambda x, axis=axis: x.roll(1, axis - len(orders)), (2, *orders))
        exact.append(mix @ shift @ mix.T)
    noisy = [jittered(matrix, 1e-6) for matrix in exact]
    group = close_group(noisy, orders)
    assert not group.is_permutation
    check_group(group)
    for found, matrix in zip(group.generators, exact, strict=True):
        assert relative(found, matrix) < 1e-4


def test_a_small_turn_is_no_noisy_identity():
    axis = np.ones(3) / math.sqrt(3)
    turn = torch.from_numpy(scipy.linalg.expm(math.radians(15) * np.cross(np.eye(3), axis)))
    group = close_group([jittered(turn, 1e-3)], [24])
    check_group(group)
    assert relative(group.generators[0], turn) < 1e-2


def test_quarter_turns_and_signed_permutations_close():
    quarter = matrix_of(lambda x: -torch.rot90(x, 1, (-2, -1)))
    group = close_group([jittered(quarter, 1e-3)], [4])
    assert group.is_permutation
    assert torch.equal(group.generators[0], quarter)


def test_elements_are_products_of_powers():
    group = close_group(SHIFTS, (SIDE, SIDE))
    image = torch.randn(SIDE, SIDE, dtype=torch.float64)
    moved = group.element(3, -2) @ image.flatten()
    torch.testing.assert_close(moved.reshape(SIDE, SIDE), image.roll((3, -2), (0, 1)), rtol=0, atol=1e-12)
    refuses(ValueError, "2 generators", group.element, 1)


def test_learned_from_real_digits_with_zero_fill_the_shifts_are_exact(data_dir):
    digits = load("mnist", "train", data_dir=data_dir).take(3000, seed=0).floats()[:, 0, 2:26:2, 2:26:2]
    steps = torch.randint(-5, 6, (len(digits), 2))
    padded = torch.nn.functional.pad(digits, (5, 5, 5, 5))
    rows, cols = (torch.arange(12) + 5 - steps[:, axis, None] for axis in (0, 1))
    images = padded[torch.arange(len(digits))[:, None, None], rows[:, :, None], cols[:, None, :]]
    order = torch.randperm(144)
    pairs = [(images.flatten(1)[:, order], zero_shift(images.clone(), axis).flatten(1)[:, order]) for axis in (1, 2)]
    group = close_group([fit_action(pair) for pair in pairs], (12, 12))
    for axis, found in enumerate(group.generators):
        shift = matrix_of(lambda x, axis=axis: x.roll(1, axis + 1), (12, 12))
        assert torch.equal(found, shift[order][:, order])
    assert int(order[group.origin.argmax()]) == 0


def test_warns_with_numbers_where_closing_changes_the_generators():
    turn = torch.tensor([[0.0, -1], [1, 0]], dtype=torch.float64)
    with pytest.warns(UserWarning, match=r"change the generators by 17\.4%.*orders \(9,\)"):
        group = close_group([turn], [9])  # a quarter turn has no order 9: the nearest is 80 degrees
    check_group(group)


@pytest.mark.parametrize(("make", "order", "words"), [
    (lambda: random_rotation(60), 40, r"order 40 of generator 0 .* is 1\.[34]\d? away"),
    (lambda: cycle(28), 20, r"order 20 of generator 0 .* is 1\.4 away"),
    (lambda: cycle(28), 56, "order of generator 0 is 28, not the 56"),
    (lambda: cycle(12, 4), 12, "order of generator 0 is 3, not the 12"),
])  # fmt: skip
def test_warns_of_orders_that_are_none_of_the_generators(make, order, words):
    with pytest.warns(UserWarning, match=words):
        close_group([make()], [order])


def test_refuses_generators_that_do_not_commute():
    quarter = matrix_of(lambda x: torch.rot90(x, 1, (-2, -1)))
    refuses(ValueError, r"relative commutator of 1\.\d+", close_group, [SHIFTS[0], quarter], (SIDE, 4))


def test_refuses_chains_that_cannot_close():
    right = learned_zero_shifts(ONE)[1]
    with pytest.raises(ValueError, match=r"generator 0 with order 9: it is determined on 56 of 64 .* 8 directions"):
        close_group([right], [9])


def test_refuses_bad_arguments():
    refuses(ValueError, "one order for each action, got 2 and 1", close_group, SHIFTS, [SIDE])
    refuses(ValueError, "square matrices of one size", close_group, [SHIFTS[0], torch.eye(3)], [SIDE, SIDE])
    refuses(ValueError, r"orders\[0\] >= 1", close_group, [SHIFTS[0]], [0])
    refuses(ValueError, "finite actions", close_group, [SHIFTS[0] * math.nan], [SIDE])
    refuses(TypeError, "got list", close_group, [[[0, 1], [1, 0]]], [2])
    assert close_group([SHIFTS[0].int()], [SIDE]).is_permutation
    images = correlated_images()
    refuses(ValueError, "unitary=False", lambda: close_group([fit_action((images, images), unitary=False)], [1]))
