"""Pictures of how filter bases turn: every orbit, a filter that turns in all of them, spectra, inner products."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from orbitconv._support.checks import check_positive
from orbitconv._support.files import write_atomically
from orbitconv._support.folders import to_json
from orbitconv._support.progress import ProgressCallback, silent
from orbitconv.bases import FilterBasis
from orbitconv.figures import basis_figures as figures
from orbitconv.figures.basis_film import Actor, film
from orbitconv.figures.basis_turning import (
    angular_frequencies,
    atoms_of,
    eighth,
    inner_products,
    one_step_eigenvalues,
    random_pattern,
    turn_filter,
)
from orbitconv.figures.contact_sheet import Row, contact_sheet, turns_of
from orbitconv.figures.drawing import write_figure
from orbitconv.groups import Group, parse_group
from orbitconv.metrics import condition_number, group_law_error, unitarity_error
from orbitconv.records.command import settings_of
from orbitconv.show.shown_bases import FAMILIES, Shown, family_bases, named_basis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class ShowBasis:
    """Draw how filter bases turn."""

    bases: tuple[str, ...] = FAMILIES
    """Families, names from the library (spectral-c8-k5, spectral-c8-k5-d17) or .safetensors files."""
    group: str | None = None
    """Group: c8, d6, ...; by default that of the bases named, or c8."""
    kernel_size: int | None = None
    """Side of the kernel, in pixels; by default that of the bases named, or 3."""
    max_atoms: int = 25
    """Atoms on a contact sheet at most."""
    animation: Literal["webp", "gif"] = "webp"
    """Format of the moving picture."""
    seed: int = 0
    """Seed of the filter that turns."""
    out: Path = Path("runs/show-basis")
    """Folder for the pictures."""
    overwrite: bool = False
    """Replace a result that is there."""
    data_dir: Path | None = None
    """Folder with the data sets; by default ORBITCONV_DATA, then the user's cache, then a download."""

    def __post_init__(self) -> None:
        check_positive("show-basis", max_atoms=self.max_atoms)
        if self.kernel_size is not None:
            check_positive("show-basis", kernel_size=self.kernel_size)
        if self.group is not None:
            parse_group(self.group)
        if self.seed < 0:
            raise ValueError(f"show-basis expects seed >= 0, got {self.seed}.")
        if not self.bases:
            raise ValueError("show-basis expects one basis or more, got none. Leave --bases out to see every family.")


def choose_bases(config: ShowBasis, progress: ProgressCallback = silent) -> list[Shown]:
    """The bases named in the settings."""
    words = list(dict.fromkeys(config.bases))
    named = {word: named_basis(word) for word in words if word not in FAMILIES}
    first = next(iter(named.values())).basis if named else None
    group = parse_group(config.group) if config.group else first.group if first else parse_group("c8")
    size = (config.kernel_size,) * 2 if config.kernel_size else first.kernel_size if first else (3, 3)
    for word, shown in named.items():
        if (shown.basis.group, shown.basis.kernel_size) != (group, size):
            raise ValueError(
                f"show-basis draws bases of one group and kernel size, got {word} ({_kind(shown.basis)}) where "
                f"{group}, {size[0]}x{size[1]} is expected. Name bases that match, or draw each on its own."
            )
    if config.bases == FAMILIES and math.gcd(group.num_rotations, 4) == 1 and math.prod(size) > 1:
        words.remove("exact")  # no turn at all is exact
    families = [word for word in words if word in FAMILIES]
    if families and size[0] != size[1]:
        raise ValueError(f"show-basis builds families for square kernels, got {size[0]}x{size[1]}. Name files only.")
    built = {shown.key: shown for shown in family_bases(families, group, size[0], config.data_dir, progress)}
    chosen = [named[word] if word in named else built[word] for word in words]
    if len({shown.key for shown in chosen}) < len(chosen):
        raise ValueError("show-basis expects files of different names, as its pictures are named after them.")
    return chosen


def show_basis(config: ShowBasis, folder: Path, progress: ProgressCallback = silent) -> list[dict[str, Any]]:
    """Draw every picture of some bases."""
    chosen = choose_bases(config, progress)
    group = next((s.basis.group for s in chosen if s.family != "exact"), chosen[0].basis.group)
    drawings = dict(_drawings(chosen, group, config))
    for done, (name, draw) in enumerate(drawings.items(), start=1):
        write_figure(draw(), folder, name)
        progress("draw pictures", done, len(drawings) + 1)
    actors = _actors(chosen, group, config.seed)
    moments = [f"turned by {words}" for words in turns_of(group)]
    n = group.num_rotations
    moments[n:] = [f"mirrored, then {words}" for words in moments[n:]]
    write_atomically(folder / f"turning.{config.animation}", film(actors, moments, config.animation))
    progress("draw pictures", len(drawings) + 1, len(drawings) + 1)
    rows = [measure(shown) for shown in chosen]
    settings = settings_of(config)
    write_atomically(folder / "bases.json", to_json({"study": "show-basis", "config": settings, "rows": rows}))
    return rows


def measure(shown: Shown) -> dict[str, Any]:
    """The size of a basis and its errors that need no images."""
    basis = shown.basis
    complete = basis.num_atoms == math.prod(basis.kernel_size)
    complete = complete and int(torch.linalg.matrix_rank(atoms_of(basis)[0].flatten(1))) == basis.num_atoms
    condition = float(condition_number(basis).max())
    return {
        "basis": shown.name,
        "family": shown.family,
        "group": basis.group.name.lower(),
        "kernel": f"{basis.kernel_size[0]}x{basis.kernel_size[1]}",
        "num_atoms": basis.num_atoms,
        "unitarity_error": float(unitarity_error(basis).max()),
        "group_law_error": float(group_law_error(basis).max()) if complete else None,
        "condition_number": condition if condition < 1e6 else None,  # atoms vanish at some element
    }


def _drawings(chosen: Sequence[Shown], group: Group, config: ShowBasis) -> Iterator[tuple[str, Callable[[], "Figure"]]]:
    """Every still picture: the name of its files, and what draws it."""
    for shown in chosen:
        yield f"orbits-{shown.key}", lambda s=shown: orbit_sheet(s, config.max_atoms)
    yield "turning", lambda: _turning_sheet(_actors(chosen, group, config.seed), group)
    spectra = {f"{s.name} {_kind(s.basis)}": s.spectrum for s in chosen if s.spectrum is not None}
    if spectra:
        yield "spectrum", lambda: figures.spectrum_figure(spectra)
    yield "eigenvalues", lambda: figures.eigenvalue_figure([_eigenvalues(s) for s in chosen])
    yield "unitarity", lambda: figures.unitarity_figure([_inner(s) for s in chosen])


def orbit_sheet(shown: Shown, max_atoms: int) -> "Figure":
    """Every atom of a basis, or the first of them, at every group element; a note tells how many are left out."""
    basis, spectrum = shown.basis, shown.spectrum
    atoms, group = atoms_of(basis).numpy(), basis.group
    frequencies = angular_frequencies(basis)
    rows = []
    for d in range(min(basis.num_atoms, max_atoms)):
        lines = [f"atom {d + 1}"]
        if spectrum is not None:
            lines += [f"k = {spectrum.frequencies[d]}", f"error {spectrum.errors[d]:.2g}"]
        elif frequencies is not None:
            lines.append(f"k = {frequencies[d]}")
        norms = np.linalg.norm(atoms[:, d], axis=(1, 2)).tolist()
        rows.append(Row("\n".join(lines), list(atoms[:, d]), norms))
    title = f"{shown.name.removesuffix(f' {group}')}, {_kind(basis)}: {basis.num_atoms} atoms"
    notes = ["The norm is below each picture."]
    if spectrum is not None or frequencies is not None:
        notes.insert(0, "k: angular frequency.")
    if basis.num_atoms > max_atoms:
        notes.append(f"{basis.num_atoms - max_atoms} more atoms are not drawn.")
    return contact_sheet(title, rows, group, note=" ".join(notes))


def _turning_sheet(actors: Sequence[Actor], group: Group) -> "Figure":
    """The moving picture as a still one: a column for each frame."""
    rows = [Row(actor.name.replace(", ", "\n"), actor.frames, actor.norms) for actor in actors]
    return contact_sheet(
        "One random filter, turned by every basis", rows, group,
        note="Each basis turns the filter of its span that is nearest to the pattern. The norm is below each picture.",
    )  # fmt: skip


def _actors(chosen: Sequence[Shown], group: Group, seed: int) -> list[Actor]:
    """A random pattern, and the filter nearest to it in every basis, at every element of the group."""
    size = chosen[0].basis.kernel_size
    pattern = random_pattern(size, seed)
    fineness = max(1, 210 // max(size))
    fine = [pattern.turned(group, g, size, fineness) for g in range(group.order)]
    actors = [Actor("the pattern", figures.INK, fine)]
    for shown in chosen:
        own = shown.basis.group
        turned = turn_filter(pattern.turned(group, 0, size), shown.basis)
        frames = [None if (e := element_in(own, group, g)) is None else turned[e] for g in range(group.order)]
        norms = [None if frame is None else float(np.linalg.norm(frame)) for frame in frames]
        actors.append(Actor(shown.name, figures.family_color(shown.family), frames, norms))
    return actors


def element_in(part: Group, group: Group, g: int) -> int | None:
    """The element of a subgroup that is a given element of a group of rotations and mirrors."""
    step, rest = divmod(int(group.rotation_steps[g]) * part.num_rotations, group.num_rotations)
    if rest:
        return None
    return step + (part.num_rotations if group.mirrors[g] else 0)


def _eigenvalues(shown: Shown) -> figures.Eigenvalues:
    """Eigenvalues of a basis, for the picture."""
    n = shown.basis.group.num_rotations
    return figures.Eigenvalues(shown.name, shown.family, 360 / n, n, one_step_eigenvalues(shown.basis))


def _inner(shown: Shown) -> figures.Inner:
    """Inner products of a basis, for the picture."""
    basis = shown.basis
    g = eighth(basis.group)
    degrees = math.degrees(basis.group.angles[g])
    error = float(unitarity_error(basis)[g])
    return figures.Inner(shown.name, shown.family, degrees, inner_products(basis, g), error)


def _kind(basis: FilterBasis) -> str:
    """Group and kernel size, in words."""
    return f"{basis.group} {basis.kernel_size[0]}x{basis.kernel_size[1]}"
