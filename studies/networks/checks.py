"""What speaks against a study, before its folder bears its settings or anything in it is forgotten."""

from collections.abc import Sequence

import torch

from orbitconv.bases import ExactBasis
from orbitconv.data import ImageSet
from orbitconv.groups import Cyclic, parse_group
from orbitconv.train import build_network
from orbitconv.train.engine.processes import refuse_torchrun
from studies.networks.bases import WRITTEN_DOWN, NetworkBases
from studies.networks.settings import NetworkStudy
from studies.networks.trials import Trial, network_of


def check_study(config: NetworkStudy, trials: Sequence[Trial], train: ImageSet, bases: NetworkBases) -> None:
    """Refuse what could only fail later."""
    refuse_torchrun(f"study {config.study}")
    if not trials:
        raise ValueError(
            f"study {config.study} has nothing to compare: {', '.join(config.families)} on "
            f"{', '.join(config.groups)}. Exact filters are compared on c4 and d4, which the grid allows, all "
            "other families on the rest."
        )
    count = len(train if config.train_images is None else train.take(config.train_images))
    if count < config.training.batch_size:
        raise ValueError(
            f"study {config.study} expects at least one batch of {config.training.batch_size} images, got {count}."
        )
    some_basis = ExactBasis(Cyclic(4), config.kernel_size)
    for basis in {None if trial.family == "plain" else some_basis for trial in trials}:
        with torch.device("meta"):
            build_network(network_of(config, None), train.images.shape[1], len(train.classes), basis)
    for trial in trials:
        if trial.family in WRITTEN_DOWN or trial.family.startswith("spectral"):
            bases.basis(trial.family, parse_group(trial.group), config.kernel_size)
