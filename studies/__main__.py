"""`python -m studies NAME` runs a study; without a name they are listed."""

import sys
from collections.abc import Mapping, Sequence

from orbitconv.cli.main import run_safely

STUDIES: Mapping[str, tuple[str, str]] = {
    "compare-bases": (
        "bases.compare_command:CompareBasesCommand",
        "Every family of bases on images none was fitted to.",
    ),
    "train-basis": ("bases.train_command:TrainBasisCommand", "Train a basis by gradient descent."),
    "train-basis-paper": ("bases.train_command:TrainPaperBasisCommand", "The same with the paper's settings."),
    "learned-basis": ("bases.train_command:LearnedBasisCommand", "Trained bases, our settings and the paper's."),
    "bases-trained": ("bases.trained_command:TrainedBasesCommand", "Networks on bases of one kernel and dimension."),
    "mnist": ("networks.command:mnist", "Every family of bases on upright digits."),
    "fashion-mnist": ("networks.command:fashion_mnist", "Every family of bases on upright clothes."),
    "rotated-mnist": ("networks.command:rotated_mnist", "Every family of bases on turned digits."),
    "cifar10": ("networks.command:cifar10", "Every family of bases on upright photographs."),
    "rotated-cifar10": ("networks.command:rotated_cifar10", "Every family of bases on turned photographs."),
    "stability": ("networks.stability_command:StabilityCommand", "Error against the angle, layer by layer."),
    "separable": ("networks.separable_command:SeparableCommand", "Convolutions in cheaper steps."),
    "mlp-to-cnn": ("mlp_to_cnn.command:MlpToCnnCommand", "Networks that ignore, learn or know translation."),
    "learn-action": ("actions.command:LearnActionCommand", "Learn a transformation from pairs of images."),
    "bench": ("speed.command:BenchCommand", "Speed and memory beside plain convolutions and the peers."),
}
"""Name of a study, the class below `studies` that runs it, and what it does in one line."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a study."""

    def work() -> None:
        parse(sys.argv[1:] if arguments is None else arguments).run()

    run_safely("studies", work)


def parse(arguments: Sequence[str]):
    """Turn words into a study with its settings."""
    import tyro

    from orbitconv.cli.commands import load_class, named

    name, words = named(
        arguments, "python -m studies", "Studies that reproduce the claims of the documentation.", STUDIES
    )
    return tyro.cli(load_class("studies.", STUDIES[name][0]), prog=f"python -m studies {name}", args=words)


if __name__ == "__main__":
    main()
