"""Do smaller basis errors make better networks? Learned against hand-made bases of the same kernel and dimension."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from orbitconv._support.checks import check_sizes
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases import FilterBasis, HarmonicBasis, SpectralBasis
from orbitconv.data import ImageSet, load
from orbitconv.demo.upright import UprightStudy, build, measure
from orbitconv.groups import Group, parse_group
from orbitconv.learn import measure_moments
from orbitconv.metrics import basis_equivariance_error
from orbitconv.records.command import command_of
from orbitconv.records.grouping import mean_and_spread
from orbitconv.records.record import Record, Row
from studies.base.command import Shown, table
from studies.base.journal import Journal
from studies.base.summary import errors, grouped


@dataclass(frozen=True, kw_only=True)
class TrainedBases(UprightStudy):
    """Train networks on learned and on hand-made bases of one kernel and dimension; test them on turned digits.

    Takes about half an hour on two cores for three seeds; a stopped study resumes.
    """

    out: Path = Path("runs/bases-trained")
    """Folder of the result; a stopped study resumes from what is in it."""
    seeds: int = 3
    """Networks of each kind, from different seeds; the table shows their mean."""
    group: str = "c8"
    """Group: c8, d6, ..."""
    kernel_sizes: tuple[int, ...] = (3, 5, 7)
    """Sides of the kernels, in pixels."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes("bases-trained", self.kernel_sizes)
        parse_group(self.group)


def compare_trained_bases(config: TrainedBases, progress: ProgressCallback = silent) -> Record:
    """Train one network for each basis, kernel and seed; finished parts are not repeated."""
    parts = {"seeds", "kernel_sizes"}  # more of them can follow
    same = {name: value for name, value in config.settings().items() if name not in parts}
    journal = Journal(config.out, same, overwrite=config.overwrite)
    digits = load("mnist", "train", data_dir=config.data_dir, progress=progress)
    test = load("mnist", "test", data_dir=config.data_dir, progress=progress)
    group = parse_group(config.group)
    record = Record(
        study="bases_trained",
        command=command_of("python -m studies bases-trained", config, "bases_trained"),
        config={**config.settings(), "data": "mnist"},
    )
    for kernel in config.kernel_sizes:
        fit = digits.take(config.fit_images).floats()
        held_out = measure_moments(test.take(min(config.fit_images, len(test))).floats(), group, kernel)
        bases = _bases(fit, group, kernel)
        worst = {family: float(basis_equivariance_error(basis, held_out).max()) for family, basis in bases.items()}
        for seed in range(config.seeds):
            for family, basis in bases.items():
                part = f"{family}, {kernel}x{kernel}, seed {seed}"
                rows = journal.rows(part, partial(_train, family, basis, seed, digits, test, config, progress, part))
                for row in rows:
                    record.add(**row, basis_error_worst=worst[family])
    record.source = journal.source
    return record


def _bases(images: Float[Tensor, "n 1 h w"], group: Group, kernel: int) -> dict[str, FilterBasis]:
    """The hand-made basis, and spectral bases of the same dimension."""
    hand_made = HarmonicBasis(group, kernel)
    bases: dict[str, FilterBasis] = {"harmonic": hand_made}
    for family, whiten in (("spectral", False), ("spectral, whitened", True)):
        moments = measure_moments(images, group, kernel, whiten=whiten)
        best = SpectralBasis(group, kernel, moments, dimension=hand_made.num_atoms)
        below = (group.num_rotations - 1) // 2
        bases[family] = SpectralBasis(group, kernel, moments, dimension=hand_made.num_atoms, max_frequency=below)
        if max(best.frequencies) > below:
            bases[f"{family}, up to N/2"] = best
    return bases


def _train(
    family: str, basis: FilterBasis, seed: int, digits: ImageSet, test: ImageSet, config: TrainedBases,
    progress: ProgressCallback, part: str,
) -> list[Row]:  # fmt: skip
    network = build(family, basis, config.parameters, seed)
    return measure(family, basis, network, seed, digits, test, config, progress, part)


def show(_config: object, record: Record) -> Shown:
    """Errors by kernel and basis, mean and spread over seeds."""
    rows = (
        (
            f"{kernel}x{kernel}", family, str(own[0]["num_atoms"]), f"{own[0]['basis_error_worst']:.3g}",
            f"{own[0]['parameters']:,}", *(mean_and_spread(errors(own)[test]) for test in ("upright", "rotated")),
        )
        for (kernel, family), own in grouped(record.rows, "kernel", "family").items()
    )  # fmt: skip
    title = f"Test error after training on {record.config['train_images']:,} upright digits, in %"
    header = ("kernel", "basis", "atoms", "basis error", "parameters", "upright", "at random angles")
    return Shown([table(title, rows, *header, left=("basis",))])
