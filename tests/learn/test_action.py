import math

import numpy as np
import pytest
import scipy.linalg
import torch

from orbitconv.data import load
from orbitconv.learn import PairMoments, fit_action, measure_pairs
from raising import refuses
from transformations import SIDE, correlated_images, matrix_of, relative, zero_shift

PIXELS = SIDE * SIDE
ONE = torch.eye(PIXELS, dtype=torch.float64)

TRANSFORMS = {
    "right": lambda x: x.roll(1, -1),
    "down": lambda x: x.roll(1, -2),
    "quarter turn": lambda x: torch.rot90(x, 1, (-2, -1)),
    "mirror": lambda x: x.flip(-1),
    "negative": lambda x: -x,
}


@pytest.mark.parametrize("permuted", [False, True])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_norm_preserving_transformations_are_found_to_machine_precision(name, permuted):
    images, transform = correlated_images(), TRANSFORMS[name]
    order = torch.randperm(PIXELS) if permuted else torch.arange(PIXELS)
    action = fit_action((images.flatten(1)[:, order], transform(images).flatten(1)[:, order]))
    assert relative(action.matrix, matrix_of(transform)[order][:, order]) < 1e-10
    assert action.rank == PIXELS
    assert action.error < 1e-7
    assert action.norm_error < 1e-12
    torch.testing.assert_close(action.confidence, torch.ones(PIXELS, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(action.coverage, torch.ones(PIXELS, dtype=torch.float64), rtol=0, atol=1e-9)


def test_procrustes_is_that_of_scipy_where_pairs_are_noisy():
    images = correlated_images(600)
    moved = images.roll(1, -1) + 0.5 * torch.randn_like(images)
    with pytest.warns(UserWarning, match=r"leaves 2\d\.\d% .*it is noise"):
        action = fit_action((images, moved), tolerance=1e-6)
    expected, _ = scipy.linalg.orthogonal_procrustes(images.flatten(1).numpy(), moved.flatten(1).numpy())
    np.testing.assert_allclose(action.matrix, expected.T, rtol=0, atol=1e-10)
    residual = moved.flatten(1) - images.flatten(1) @ action.matrix.T
    assert action.error == pytest.approx(float(residual.norm() / moved.norm()), rel=1e-10)
    change = moved.flatten(1).norm(dim=1) - images.flatten(1).norm(dim=1)
    assert action.norm_error == pytest.approx(float(change.norm() / images.norm()), rel=1e-10)


@pytest.mark.parametrize("axis", [1, 2])
def test_what_a_shift_with_zero_fill_loses_is_told_from_what_it_keeps(axis):
    images = correlated_images()
    moved = zero_shift(images.clone(), axis)
    action = fit_action((images, moved))
    assert action.rank == PIXELS - SIDE
    assert relative(action.matrix, matrix_of(lambda x: zero_shift(x.clone(), axis))) < 1e-10
    lost = torch.ones(SIDE, SIDE, dtype=torch.float64)
    lost.select(axis - 1, SIDE - 1).zero_()
    torch.testing.assert_close(action.coverage, lost, rtol=0, atol=1e-9)
    assert int((action.confidence > 0.999).sum()) == action.rank
    assert float(action.confidence[action.rank :].abs().max()) == 0
    plain, _ = scipy.linalg.orthogonal_procrustes(images.flatten(1).numpy(), moved.flatten(1).numpy())
    assert relative(torch.from_numpy(plain.T), action.matrix) > 0.1  # plain Procrustes gets this wrong


def test_directions_without_data_fall_back_on_the_prior():
    images = correlated_images()
    images[:, 0] = 0  # never lit, and mirrored onto itself
    mirrored = images.flip(-1)
    bare = fit_action((images, mirrored))
    assert bare.rank == PIXELS - SIDE
    assert float(bare.matrix[:, :SIDE].abs().max()) < 1e-9
    action = fit_action((images, mirrored), prior=ONE)
    expected = matrix_of(lambda x: torch.cat([x[:, :1], x[:, 1:].flip(-1)], 1))
    torch.testing.assert_close(action.matrix, expected, rtol=0, atol=1e-9)
    assert action.rank == bare.rank


def coloured_signals(n=5000, length=64):
    """Periodic signals whose spectrum falls steeply."""
    spectrum = torch.fft.rfft(torch.randn(n, length, dtype=torch.float64))
    return torch.fft.irfft(spectrum / (1 + torch.arange(spectrum.shape[1])) ** 1.5, length)


@pytest.mark.parametrize("noise", [0, 0.01])
def test_rank_keeps_what_explains_most_as_truncated_procrustes_does(noise):
    signals = coloured_signals()
    shifted = signals.roll(1, -1)
    moved = shifted + noise * torch.randn_like(signals)
    action = fit_action((signals, moved), rank=32)
    U, _, Vh = scipy.linalg.svd((moved.T @ signals).numpy())
    np.testing.assert_allclose(action.matrix, U[:, :32] @ Vh[:32], rtol=0, atol=1e-10)
    assert action.rank == len(action.directions) == 32
    assert relative(action.apply(signals), shifted) < 0.06


def test_rank_leaves_out_what_is_lost_before_it_keeps_what_explains_most():
    images = correlated_images()
    moved = zero_shift(images.clone(), 1)
    action = fit_action((images, moved), rank=30)
    assert float(action.matrix[:, -SIDE:].abs().max()) < 1e-9
    kept = images[:, :-1].flatten(1)
    least = float((scipy.linalg.svdvals(kept)[30:] ** 2).sum() / kept.square().sum()) ** 0.5
    assert relative(action.apply(images), moved) < 1.01 * least


@pytest.mark.parametrize("n", [250, 1000, 5000])
def test_pairs_that_have_nothing_to_do_with_each_other_determine_nothing(n):
    before, after = torch.randn(2, n, 200, dtype=torch.float64)
    with pytest.warns(UserWarning, match="it is noise"):
        action = fit_action((before, after))
    assert action.rank <= 2
    assert float(action.confidence.max()) < 0.25
    assert float(action.coverage.mean()) <= 0.01


def test_confidence_belongs_to_directions_and_falls_with_their_noise():
    scales = torch.linspace(1, 4, 20, dtype=torch.float64)
    f = torch.randn(4000, 20, dtype=torch.float64) * scales
    moved = f + 0.25 * torch.randn_like(f)
    action = fit_action((f, moved))
    torch.testing.assert_close(action.directions @ action.directions.T, ONE[:20, :20], rtol=0, atol=1e-12)
    true = scales.flip(0) / torch.sqrt(scales.flip(0) ** 2 + 0.25**2)  # correlation of f with f + noise, in closed form
    torch.testing.assert_close(action.confidence, true, rtol=0, atol=0.01)
    sizes = (action.directions * scales).norm(dim=1)
    assert float(sizes[0]) == pytest.approx(4, rel=0.05)
    assert float(sizes[-1]) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(("n", "noise"), [(100, 0.02), (400, 0.15), (4000, 0.15)])
def test_uncertainty_bounds_what_noise_does_to_the_matrix(n, noise):
    images = correlated_images(n)
    moved = images.roll(1, -1)
    action = fit_action((images, moved + noise * torch.randn_like(images)))
    found = relative(action.matrix, matrix_of(TRANSFORMS["right"]))
    assert found < action.uncertainty < 4 * found
    assert fit_action((images, moved)).uncertainty < 1e-6


def test_unconstrained_maps_are_least_squares():
    images = correlated_images()
    squeeze = torch.randn(PIXELS, PIXELS, dtype=torch.float64)
    moved = (images.flatten(1) @ squeeze.T).reshape(images.shape)
    assert relative(fit_action((images, moved), unitary=False, ridge=1e-13).matrix, squeeze) < 1e-8
    noisy = moved + torch.randn_like(moved)
    action = fit_action((images, noisy), unitary=False, ridge=0.0)
    expected = np.linalg.lstsq(images.flatten(1).numpy(), noisy.flatten(1).numpy(), rcond=None)[0].T
    np.testing.assert_allclose(action.matrix, expected, rtol=0, atol=1e-8)
    assert action.rank == PIXELS


def test_ridge_pulls_towards_the_prior():
    images = correlated_images()
    moved = images.roll(1, -1)
    action = fit_action((images, moved), unitary=False, ridge=0.5, prior=2 * ONE)
    A, B = images.flatten(1).numpy(), moved.flatten(1).numpy()
    pull = 0.5 * np.trace(A.T @ A) / PIXELS
    expected = np.linalg.solve(A.T @ A + pull * np.eye(PIXELS), (B.T @ A + pull * 2 * np.eye(PIXELS)).T).T
    np.testing.assert_allclose(action.matrix, expected, rtol=0, atol=1e-10)
    assert float(action.confidence[0]) > float(action.confidence[-1])


def test_moments_add_up_over_batches_and_streams():
    images = correlated_images()
    moved = images.roll(1, -1)
    batches = list(zip(images.split(37), moved.split(37), strict=True))
    whole = fit_action((images, moved))
    for pairs in (batches, iter(batches), measure_pairs(batches[:3]) + measure_pairs(batches[3:])):
        action = fit_action(pairs)
        assert action.num_pairs == 400
        torch.testing.assert_close(action.matrix, whole.matrix, rtol=0, atol=1e-11)


def test_sums_are_float64_whatever_the_pairs_are():
    images = correlated_images().float()
    action = fit_action((images, images.roll(1, -1)))
    assert relative(action.matrix, matrix_of(TRANSFORMS["right"])) < 1e-10


def test_apply_takes_powers_and_keeps_shape_and_dtype():
    images = correlated_images()
    action = fit_action((images, images.roll(1, -1)))
    x = torch.randn(2, 3, SIDE, SIDE)
    for power in (0, 1, 3, -2, SIDE):
        torch.testing.assert_close(action.apply(x, power), x.roll(power, -1), rtol=0, atol=1e-5)


def test_learned_from_5000_digits_the_cyclic_shift_is_exact_in_any_pixel_order(data_dir):
    digits = load("mnist", "train", data_dir=data_dir).take(5000, seed=0).floats()[:, 0]
    steps = torch.randint(28, (5000, 2))
    rows, cols = (torch.arange(28) - steps[:, axis, None] for axis in (0, 1))
    images = digits[torch.arange(5000)[:, None, None], rows[:, :, None] % 28, cols[:, None, :] % 28]
    order = torch.randperm(784)
    action = fit_action((images.flatten(1)[:, order], images.roll(1, 2).flatten(1)[:, order]))
    expected = matrix_of(lambda x: x.roll(1, -1), (28, 28))[order][:, order]
    assert relative(action.matrix, expected) < 1e-10
    assert action.rank == 784


def test_warns_where_no_norm_preserving_map_explains_the_pairs():
    images = correlated_images()
    with pytest.warns(UserWarning, match=r"leaves 50\.0% .* changes norms by 100\.0%"):
        action = fit_action((images, 2 * images))
    torch.testing.assert_close(action.matrix, ONE, rtol=0, atol=1e-10)


@pytest.mark.parametrize(("factor", "rank"), [(2, 16), (1.09, None), (0.97, None), (1.02, 40)])
def test_warns_of_changed_norms_whatever_the_rank(factor, rank):
    images = correlated_images()
    number = f"{100 * abs(factor - 1):.1f}%"
    with pytest.warns(UserWarning, match=rf"changes norms by {number}.* unitary=False"):
        fit_action((images, factor * images), rank=rank)


def test_noise_is_called_noise_and_no_change_of_norms():
    images = correlated_images(1000)
    moved = images.roll(1, -1) + 0.5 * torch.randn_like(images)
    with pytest.warns(UserWarning, match="it is noise") as told:
        fit_action((images, moved))
    assert "Learn it with unitary=False" not in str(told[0].message)
    fit_action((images, images.roll(1, -1) + 0.1 * torch.randn_like(images)))  # little noise: no warning at all
    gains = torch.where(torch.arange(PIXELS) % 2 == 0, 1.5, 0.5).double()
    with pytest.warns(UserWarning, match=r"least squares 0\.0%.* unitary=False"):
        fit_action((images.flatten(1), images.flatten(1) * gains))


def test_warns_of_features_in_other_units():
    images = correlated_images().flatten(1)
    images[:, :3] *= 3e-6
    with pytest.warns(UserWarning, match="3 of 64 features are smaller than 1e-05 of the largest"):
        assert fit_action((images, -images)).rank == PIXELS - 3


def test_refuses_what_is_no_pair():
    images = correlated_images(100)
    with pytest.raises(ValueError, match=r"both of shape \(n, 8, 8\), got \(100, 8, 8\) and \(99, 8, 8\)"):
        fit_action((images, images[1:]))
    refuses(TypeError, r"expects pairs \(f, T f\) of tensors, got Tensor", fit_action, [images])
    refuses(TypeError, r"floating-point T f, got torch\.int64", lambda: fit_action((images, images.long())))
    with pytest.raises(ValueError, match="finite T f, got 1 NaN"):
        fit_action((images, images.masked_fill(images == images[3, 2, 1], math.nan)))
    refuses(ValueError, "at least one pair", fit_action, [])
    refuses(ValueError, "all zero", fit_action, (images, 0 * images))
    refuses(ValueError, r"shapes \(8, 8\) and \(64,\)", lambda: PairMoments((8, 8)) + PairMoments((64,)))
    for name in ("cross", "norm_error"):
        with pytest.raises(ValueError, match="hold no pairs yet"):
            getattr(PairMoments((8, 8)), name)
    with pytest.raises(ValueError, match="norms are compared with its own"):
        _ = PairMoments((8, 8)).update(0 * images, images).norm_error
    refuses(ValueError, r"T f below 1e\+150, .* got .*e\+200", fit_action, (images, 1e200 * images))
    refuses(ValueError, "at least one pair", lambda: fit_action(PairMoments((8, 8))))


def test_refuses_too_few_pairs_and_says_how_many():
    images = correlated_images(50)
    refuses(ValueError, r"at least 64 pairs .* got 50\. Draw 14 more", fit_action, (images, images))
    assert fit_action((images, images), prior=ONE).rank == 50
    assert fit_action((images, images), rank=20).rank == 20


def test_refuses_bad_arguments():
    images = correlated_images(100)
    refuses(ValueError, r"prior of shape \(64, 64\), got \(8, 8\)", fit_action, (images, images), prior=torch.eye(8))
    refuses(ValueError, "0 < tolerance < 1", fit_action, (images, images), tolerance=1.0)
    refuses(ValueError, "rank >= 1", fit_action, (images, images), rank=0)
    action = fit_action((images, images), unitary=False)
    refuses(ValueError, "power >= 0", action.apply, images, -1)
    refuses(ValueError, r"shape \(\.\.\., 8, 8\), got \(100, 64\)", lambda: action.apply(images.flatten(1)))
    refuses(TypeError, r"floating-point features, got torch\.uint8", lambda: action.apply((255 * images).byte()))
    for power in (1.5, True):
        refuses(TypeError, "whole steps", action.apply, images, power)
