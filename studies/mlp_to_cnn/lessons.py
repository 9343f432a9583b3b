"""The translations learned in the study `mlp_to_cnn`, compared with the true ones and stored for its figures."""

import math
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from orbitconv._support.progress import ProgressCallback
from orbitconv.data import ImageSet
from orbitconv.learn import ClosedGroup
from orbitconv.records.record import Row
from studies.actions.pixels import Fill
from studies.base.arrays import write_arrays
from studies.mlp_to_cnn.translations import (
    AXES,
    Learner,
    Translations,
    distance,
    draw_pairs,
    learn_translations,
    order_for,
    shift_matrix,
)  # fmt: skip

# Seed of the pairs.
_PAIR_SEED = 0


class Lessons:
    """The learned translations of each test, computed on first use."""

    def __init__(
        self, digits: ImageSet, pairs: int, reach: int, progress: ProgressCallback, device: torch.device | str = "cpu"
    ) -> None:
        self.digits, self.pairs, self.reach, self.progress = digits, pairs, reach, progress
        self.device = device
        self._learned: dict[str, Translations] = {}

    def learn(self, test: str) -> Translations:
        """The lesson of one test."""
        if test not in self._learned:
            self.progress(f"learn the action, {test}", 0, 1)
            self._learned[test] = learn_from_digits(self.digits, test, self.pairs, self.reach, device=self.device)
            self.progress(f"learn the action, {test}", 1, 1)
        return self._learned[test]

    def group(self, test: str) -> ClosedGroup:
        """The closed group for one test."""
        group = self.learn(test).group
        if group is None:
            raise ValueError(
                f"{self.pairs} pairs do not determine how translations act on {self.digits.images[0].numel()} pixels "
                f"({test}). Draw more with --pairs: at least one for each pixel."
            )
        return group

    def save(self, test: str, folder: Path) -> list[Row]:
        """Store the lesson for the figures, and return its errors."""
        learned, group = self.learn(test), self.group(test)
        tensors = {
            "order": order_for(test, len(group.generators[0])),
            "learned": torch.stack([action.matrix for action in learned.actions]),
            "closed": group.generators.float(),
        }
        write_arrays(
            folder / f"translations-{test}.npz", **{name: value.cpu().numpy() for name, value in tensors.items()}
        )
        return [facts(learned, test, self.digits.images.shape[-1])]


def learn_from_digits(
    digits: ImageSet, test: str, pairs: int, reach: int, learner: Learner | None = None, *,
    device: torch.device | str = "cpu",
) -> Translations:  # fmt: skip
    """Learn both shifts by one pixel from pairs of flattened digits."""
    side = digits.images.shape[-1]
    order = order_for(test, side**2)
    draws = [draw_pairs(digits, axis, _fill(test), order, pairs, reach=reach, seed=_PAIR_SEED) for axis in AXES]
    there = [((before.to(device), after.to(device)) for before, after in batches) for batches in draws]
    return learn_translations(there, (side,) * len(AXES), learner)


def facts(learned: Translations, test: str, side: int) -> Row:
    """Compare the learned with the true shifts."""
    group = learned.group
    commutator = closure = closed = None
    if group is not None:
        commutator, closure = group.commutator_error, max(group.closure_errors)
        closed = _worst(list(group.generators), test, "cyclic", side)
    return {
        "pairs": learned.actions[0].num_pairs, "fit_seconds": round(learned.seconds, 2),
        "rank": min(action.rank for action in learned.actions),
        "fit_error": max(action.error for action in learned.actions),
        "commutator_error": commutator, "closure_error": None if closure == math.inf else closure,
        "distance_learned": _worst([action.matrix for action in learned.actions], test, _fill(test), side),
        "distance_closed": closed,
    }  # fmt: skip


def _fill(test: str) -> Fill:
    return "zero" if test == "zero-filled" else "cyclic"


def _worst(found: list[Float[Tensor, "p p"]], test: str, fill: Fill, side: int) -> float:
    """Largest distance of matrices from the true shifts."""
    order = order_for(test, side**2)
    return max(distance(M.cpu(), shift_matrix(axis, fill, order, side)) for axis, M in zip(AXES, found, strict=True))
