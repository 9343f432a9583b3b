"""The systems that the paper stands among, and learned bases of C12 on both lattices."""

from studies.base.results import read, record
from studies.base.summary import where
from studies.pages.markdown import table
from studies.systems.show import HEADER, system_lines


def systems() -> str:
    """All systems on the same data, budget and recipe."""
    found = record("systems")
    return table(HEADER, "lll" + "r" * (len(HEADER) - 3), system_lines(read("systems"), found))


def lattices() -> str:
    """Spectral bases of C12 on squares and on hexagons, atom by atom where both have them."""
    rows = record("systems")["bases"]
    columns = [
        ("square", "as they are"), ("square", "low-passed"), ("hexagonal", "low-passed"), ("square", "whitened"),
        ("hexagonal", "whitened"),
    ]  # fmt: skip
    lines = []
    for atoms in range(2, 20):
        found = [where(rows, lattice=lattice, images=images, num_atoms=atoms) for lattice, images in columns]
        if found[2]:
            lines.append((str(atoms), *(f"{own[0]['error_30']:.4f}" if own else "" for own in found)))
    names = ("squares, 25 pixels, as they are", "squares, low-passed", "hexagons, 19 taps", "squares, whitened")
    return table(("atoms", *names, "hexagons, whitened"), "rrrrrr", lines)
