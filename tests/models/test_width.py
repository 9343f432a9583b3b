import pytest
import torch

from networks import BASES, SMALL, exact_c4
from orbitconv.bases import LearnedBasis
from orbitconv.groups import Cyclic
from orbitconv.models import MODELS, SmallCNN, count_multiply_adds, count_parameters
from orbitconv.models.width import distinct_widths, stage_widths


def test_stages_are_in_proportion_and_rounded_each_by_itself():
    assert stage_widths((96, 192), 33.4) == (33, 67)
    assert stage_widths((1, 2, 4), 3) == (3, 6, 12)
    assert stage_widths((4, 2, 1), 1) == (1, 1, 1)


@pytest.mark.parametrize("profile", [(1,), (1, 2), (96, 192), (1, 3, 7), (2, 3)])
def test_distinct_widths_are_all_outcomes_once(profile):
    widths = distinct_widths(profile, 12)
    outcomes = [stage_widths(profile, width) for width in widths]
    steps = range(int(1000 * widths[-1]) + 1)
    fine = dict.fromkeys(stage_widths(profile, step / 1000 + 1e-7) for step in steps)
    assert list(fine) == outcomes
    assert distinct_widths((1,), 5) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("width", ["params", "compute"])
def test_no_neighbouring_width_comes_nearer_to_the_plain_twin(name, width):
    options = {"plain_width": 6, **SMALL[name][0]}
    side = {"small": 28, "p4cnn": 28, "unet": 16}.get(name, 32)
    count = count_parameters if width == "params" else lambda network: count_multiply_adds(network, (2, side, side))

    def build(basis, **width):
        with torch.device("meta"):
            return MODELS[name](basis, **options, **width)

    budget, chosen = count(build(None)), build(exact_c4, width=width)
    here = abs(count(chosen) - budget)
    for factor in (0.75, 0.9, 1.1, 1.25):
        assert here <= abs(count(build(exact_c4, width=chosen.width * factor)) - budget)


@pytest.mark.parametrize("width", ["params", "compute"])
@pytest.mark.parametrize("orthogonal", [False, True])
def test_bases_that_train_count_once(width, orthogonal):
    basis = LearnedBasis(Cyclic(4), 3, orthogonal=orthogonal)
    network = SmallCNN(basis, width=width, plain_width=6)
    expected = SmallCNN(BASES["c4"], width=network.width)
    own = sum(p.numel() for p in basis.parameters())
    assert count_parameters(network) == count_parameters(expected) + own
    assert not any(p.is_meta for p in network.parameters())
