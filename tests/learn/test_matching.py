"""Transformations that move features onto features, from few pairs."""

import pytest
import torch

from orbitconv.learn import close_group, match_features
from raising import refuses
from transformations import SIDE, correlated_images, matrix_of

PIXELS = SIDE * SIDE


def signed_permutation(size=PIXELS):
    signs = torch.randint(0, 2, (size, 1), dtype=torch.float64) * 2 - 1
    return signs * torch.eye(size, dtype=torch.float64)[torch.randperm(size)]


@pytest.mark.parametrize(("n", "noise"), [(4, 0), (40, 0.05)])
def test_few_pairs_determine_a_signed_permutation(n, noise):
    truth = signed_permutation()
    f = correlated_images(n).flatten(1)
    moved = f @ truth.T + noise * torch.randn_like(f)
    action = match_features((f, moved))
    assert action.rank == PIXELS
    assert torch.equal(action.matrix, truth)
    assert action.num_pairs == n
    assert bool((action.confidence > (0.9 if noise else 1 - 1e-9)).all())
    torch.testing.assert_close(action.apply(f), f @ truth.T)


def test_features_with_no_clear_partner_are_left_out():
    truth = signed_permutation()
    f = correlated_images(20).flatten(1)
    f[:, 3] = 0  # never lit
    f[:, 10] = f[:, 11]  # twins
    action = match_features((f, f @ truth.T))
    known = [j for j in range(PIXELS) if j not in {3, 10, 11}]
    assert torch.equal(action.matrix[:, known], truth[:, known])
    assert not action.matrix[:, [3, 10, 11]].any()
    assert action.rank == len(known)
    assert action.coverage.tolist() == [float(j in known) for j in range(PIXELS)]


def test_what_is_left_out_is_filled_when_the_group_is_closed():
    images = correlated_images(6)
    images[:, 2, 5] = 0
    order = torch.randperm(PIXELS)
    shifts = [matrix_of(lambda x, axis=axis: x.roll(1, axis))[order][:, order] for axis in (-2, -1)]
    f = images.flatten(1)[:, order]
    actions = [match_features((f, f @ shift.T)) for shift in shifts]
    group = close_group(actions, (SIDE, SIDE))
    assert torch.equal(group.generators, torch.stack(shifts))


def test_one_feature_is_its_own_partner():
    f = torch.randn(5, 1, dtype=torch.float64)
    action = match_features((f, -f))
    assert action.matrix.tolist() == [[-1]]
    refuses(ValueError, "no feature of T f", match_features, (torch.ones(4, 1), torch.tensor([[1.0], [-1], [1], [-1]])))


def test_directions_are_the_matched_features_by_confidence():
    f = torch.randn(300, 6, dtype=torch.float64)
    action = match_features((f, f + torch.tensor([0.4, 0, 0.1, 0.3, 0.2, 0.05]) * torch.randn_like(f)))
    assert action.directions.argmax(1).tolist() == [1, 5, 2, 4, 3, 0]


def test_maps_that_mix_features_are_refused():
    mix = torch.linalg.qr(torch.randn(PIXELS, PIXELS, dtype=torch.float64)).Q
    f = torch.randn(500, PIXELS, dtype=torch.float64)
    refuses(ValueError, "fit_action", match_features, (f, f @ mix.T))
    refuses(ValueError, "tolerance", match_features, (f, f), tolerance=1)
