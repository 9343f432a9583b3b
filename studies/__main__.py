"""`python -m studies NAME` runs a study; without a name they are listed."""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from orbitconv.cli.main import run_safely

STUDIES: Mapping[str, tuple[str, str]] = {
    "compare-bases": ("bases.compare_bases:CompareBases", "Every family of bases on images that none was fitted to."),
    "train-basis": ("bases.train_basis:TrainBasis", "Train a basis by gradient descent."),
    "train-basis-paper": ("bases.train_basis:TrainPaperBasis", "The same with the paper's settings."),
    "learned-basis": ("bases.train_basis:LearnedBasisStudy", "Trained bases, our settings and the paper's."),
    "bases-trained": ("bases.trained_bases:TrainedBases", "Networks on bases of one kernel and dimension."),
    "mnist": ("networks.settings:MnistStudy", "Every family of bases on upright digits."),
    "fashion-mnist": ("networks.settings:FashionMnistStudy", "Every family of bases on upright clothes."),
    "rotated-mnist": ("networks.settings:RotatedMnistStudy", "Every family of bases on rotated digits."),
    "cifar10": ("networks.settings:Cifar10Study", "Every family of bases on upright photographs."),
    "cifar10-networks": ("networks.photographs:Photographs", "All-CNN-C and ResNet-44, plain at equal size and work."),
    "rotated-cifar10": ("networks.settings:RotatedCifar10Study", "Every family of bases on rotated photographs."),
    "rotated-mnist-record": ("records.rotated_mnist:RotatedMnistRecord", "Levers on rotated MNIST, then together."),
    "upright": ("records.upright:Upright", "Trained upright, tested at any angle: levers, then together."),
    "stability": ("networks.stability:StabilityStudy", "Error against the angle, layer by layer."),
    "separable": ("networks.separable:SeparableStudy", "Convolutions in cheaper steps."),
    "systems": ("systems.study:SystemsStudy", "One table over the systems of the literature."),
    "eurosat": ("pictures.eurosat:EuroSat", "Satellite images by class, at equal parameters and at equal time."),
    "rivals": ("rivals.settings:Rivals", "Group networks against data augmentation: equal size, compute and time."),
    "labels": ("rivals.settings:Labels", "The same networks with 1 to 100 % of the labels."),
    "nuclei": ("pictures.nuclei:Nuclei", "Masks of nuclei in one pass, compared with eight turned and mirrored ones."),
    "streaming": ("pictures.streaming:Streaming", "Training on more pictures than fit into memory: memory and speed."),
    "conversion": ("conversion.study:ConversionStudy", "A plain network, converted from scratch and from its filters."),
    "inheriting": ("conversion.ways:InheritingStudy", "Variants of inheriting filters."),
    "mlp-to-cnn": ("mlp_to_cnn.study:MlpToCnn", "Networks that ignore, learn or know translation."),
    "learn-action": ("actions.learn_action:LearnAction", "Learn a transformation from pairs of images."),
    "explorer": ("explorer.scenes:Explorer", "The rotating pictures of orbitconv explore."),
    "bench": ("speed.study:Bench", "Speed and memory compared with plain convolutions and the peers."),
    "bench-fused": ("speed.fused.study:BenchFused", "The compiled product: layers, whole networks, roofline."),
}
"""Studies by name: the class of their settings below `studies`, and a summary."""

WORK: Mapping[str, tuple[str, str]] = {
    "CompareBases": ("bases.compare_bases:compare_bases", "bases.comparison:show"),
    "TrainBasis": ("bases.train_basis:train_one", "bases.basis_runs:show"),
    "LearnedBasisStudy": ("bases.train_basis:study_learned_bases", "bases.basis_runs:show"),
    "TrainedBases": ("bases.trained_bases:compare_trained_bases", "bases.trained_bases:show"),
    "StabilityStudy": ("networks.stability:study_stability", "networks.stability_figures:show"),
    "SeparableStudy": ("networks.separable:study_separable", "networks.separable:show"),
    "Photographs": ("networks.photographs:study_photographs", "networks.photographs:show"),
    "NetworkStudy": ("networks.study:compare_networks", "networks.figures:show"),
    "SystemsStudy": ("systems.study:study_systems", "systems.show:show"),
    "EuroSat": ("pictures.eurosat:study_eurosat", "pictures.shown:show_eurosat"),
    "Rivals": ("rivals.study:study_rivals", "rivals.shown:show_rivals"),
    "Labels": ("rivals.labels:study_labels", "rivals.shown:show_labels"),
    "Nuclei": ("pictures.nuclei:study_nuclei", "pictures.shown:show_nuclei"),
    "ConversionStudy": ("conversion.study:study_conversion", "conversion.shown:show"),
    "RecordStudy": ("records.study:study_record", "records.shown:show"),
    "InheritingStudy": ("conversion.ways:study_inheriting", "conversion.ways:show"),
    "MlpToCnn": ("mlp_to_cnn.study:compare_mlp_to_cnn", "mlp_to_cnn.figures:show"),
    "LearnAction": ("actions.figures:learn_and_write", "actions.figures:show"),
}
"""By class of settings: the function that runs the study, and the one that shows its record."""

WHOLE = {"CompareBases", "LearnAction"}
"""Studies that write their folder in one step."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a study."""
    run_safely("studies", lambda: run(parse(sys.argv[1:] if arguments is None else arguments)))


def parse(arguments: Sequence[str]) -> Any:
    """Parse command-line arguments into the settings of a study."""
    import tyro

    from orbitconv.cli.commands import named

    name, words = named(
        arguments, "python -m studies", "Studies that reproduce the claims of the documentation.", STUDIES
    )
    return tyro.cli(_load(STUDIES[name][0]), prog=f"python -m studies {name}", args=words)


def run(settings: Any) -> None:
    """Run the study that settings belong to."""
    from studies.base.command import run_study

    kind = next((one.__name__ for one in type(settings).__mro__ if one.__name__ in WORK), None)
    if kind is None:
        settings.run()
    else:
        run_study(settings, *map(_load, WORK[kind]), whole=kind in WHOLE)


def _load(place: str) -> Any:
    """A class or a function by its module and name."""
    module, name = place.split(":")
    return getattr(import_module(f"studies.{module}"), name)


if __name__ == "__main__":
    main()
