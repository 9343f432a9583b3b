"""Trainable bases: free atoms at every group element, orthonormal ones, and several bases concatenated."""

from collections.abc import Sequence
from typing import Literal, final, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from orbitconv._support.checks import check_positive
from orbitconv.bases.filter_basis import FilterBasis, FixedBasis
from orbitconv.bases.interpolated import GaussianBasis
from orbitconv.bases.orbits import factor_exact
from orbitconv.groups import Group, exact_elements, grid_permutation

Start = Literal["turned", "pixels", "interpolated", "random"]


@final
class LearnedBasis(FilterBasis):
    """Atoms that are free parameters at every group element.

    Nothing but training makes them turned copies of each other (`orbitconv.learn.train_basis`). A layer does not copy
    a basis that trains: all layers it is given to share it.

    Starts:
        - `"turned"`: a random orthonormal set, moved exactly by every element as far as the grid allows (for C8, 45
          degrees starts like 0 and 135 like 90), so that exact moves are exact from the start.
        - `"pixels"`: the same with one-pixel filters, one for each pixel.
        - `"interpolated"`: a random orthonormal set, turned by Gaussian interpolation and made orthonormal again.
          Orthonormal sets of one atom for each pixel come in two kinds, of determinant 1 and -1. Training hardly
          passes from one to the other, and this start is of the right kind.
        - `"random"`: a random orthonormal set of its own for every element; everything has to be learned.

    Args:
        group: Any group.
        kernel_size: Side of the square kernel, in pixels.
        num_atoms: Number of atoms D; one for each pixel by default. More are allowed.
        start: How the atoms start, see below.
        orthogonal: Keep every element's D x K^2 matrix of atoms orthonormal, whatever is learned, by
            `torch.nn.utils.parametrizations.orthogonal`. Rows are orthonormal up to D = K^2, columns beyond. Such a
            module can be copied and its state dict saved, but not pickled.
        seed: Seed of the random start.

    Shapes:
        () -> (group, num_atoms, kernel_size, kernel_size)

    Raises:
        ValueError: If the start is unknown; if `"pixels"` is asked for with another number of atoms than pixels.

    Source: Diaconu & Worrall (2019), section 3.
    """

    atoms: Tensor

    def __init__(
        self,
        group: Group,
        kernel_size: int,
        num_atoms: int | None = None,
        *,
        start: Start = "turned",
        orthogonal: bool = False,
        seed: int = 0,
    ) -> None:
        check_positive("LearnedBasis", kernel_size=kernel_size)
        super().__init__(group, kernel_size)
        pixels = kernel_size**2
        count = pixels if num_atoms is None else num_atoms
        check_positive("LearnedBasis", num_atoms=count)
        if start not in get_args(Start):
            raise ValueError(f"LearnedBasis expects start {', '.join(get_args(Start))}, got {start!r}.")
        if start == "pixels" and count != pixels:
            raise ValueError(
                f"LearnedBasis starts at pixels with one atom for each of {pixels}, got num_atoms={count}. Choose "
                "another start, or drop num_atoms."
            )
        generator = torch.Generator().manual_seed(seed)
        shape = (group.order if start == "random" else 1, count, pixels)
        drawn = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
        atoms = torch.eye(pixels, dtype=torch.float64)[None] if start == "pixels" else nearest_orthonormal(drawn)
        if start != "random":
            first = atoms[0]
            gaussian = GaussianBasis(group, kernel_size)(torch.float64).flatten(2).cpu()
            rests = {
                rest: nearest_orthonormal(first @ gaussian[rest]) if start == "interpolated" else first
                for _, rest in factor_exact(group, *self.kernel_size)
            }
            atoms = _move_exactly(rests, group, kernel_size)
        atoms = atoms.unflatten(-1, self.kernel_size)
        self.set_atoms(atoms.to(torch.get_default_dtype()), orthogonal=orthogonal)

    @staticmethod
    def from_basis(basis: FilterBasis, *, orthogonal: bool = False) -> "LearnedBasis":
        """A trainable basis that starts at the atoms of another one, to refine a closed form inside a network.

        Args:
            basis: Where to start.
            orthogonal: Keep every element's atoms orthonormal. They start as the orthonormal set nearest to those of
                `basis`, which are the same for a unitary basis.

        Returns:
            A basis of the same atoms, in the dtype and on the device of `basis`.

        Raises:
            ValueError: If the kernel is not square.
        """
        height, width = basis.kernel_size
        if height != width:
            raise ValueError(f"LearnedBasis expects a square kernel, got {height}x{width}.")
        atoms = basis(torch.float64).to(basis().dtype)
        return _of(basis.group, atoms, orthogonal=orthogonal)

    def set_atoms(self, atoms: Float[Tensor, "g d ky kx"], *, orthogonal: bool = False) -> None:
        """Start anew at given atoms, as a new parameter. Optimizers that hold the old one do not know it.

        Args:
            atoms: The atoms; their number may be another one.
            orthogonal: Keep every element's atoms orthonormal; they start at the nearest orthonormal set.

        Raises:
            ValueError: If the atoms do not have the shape (|G|, D, kernel_size, kernel_size).
        """
        if atoms.ndim != 4 or (atoms.shape[0], *atoms.shape[2:]) != (self.group.order, *self.kernel_size):
            raise ValueError(
                f"LearnedBasis expects atoms of shape ({self.group.order}, num_atoms, {self.kernel_size[0]}, "
                f"{self.kernel_size[1]}) for {self.group}, got {tuple(atoms.shape)}."
            )
        atoms = atoms.detach().clone()
        if parametrize.is_parametrized(self):
            parametrize.remove_parametrizations(self, "atoms")
        if hasattr(self, "atoms"):
            del self.atoms
        self._num_atoms, self.orthogonal = atoms.shape[1], orthogonal
        if not orthogonal:
            self.atoms = nn.Parameter(atoms)
            return
        matrices = nearest_orthonormal(atoms.double().flatten(2)).to(atoms.dtype)
        with torch.random.fork_rng(devices=[]):  # torch completes fewer rows than columns at random
            torch.manual_seed(0)
            self.atoms = nn.Parameter(matrices)
            parametrizations.orthogonal(self, "atoms", orthogonal_map="matrix_exp")
        parametrize.register_parametrization(self, "atoms", _Polish(self.kernel_size), unsafe=True)

    @property
    def num_atoms(self) -> int:
        """Number of atoms D."""
        return self._num_atoms

    def forward(self, dtype: torch.dtype | None = None) -> Float[Tensor, "g d ky kx"]:
        """The atoms of every group element, in a dtype or that of the parameters, which gradients reach."""
        atoms = self.atoms
        return atoms if dtype is None else atoms.to(dtype)

    @torch.no_grad()
    def average(self) -> "LearnedBasis":
        """A copy whose exact moves are exact: quarter turns, and mirrors where the group has them.

        Atoms an exact move apart become exact moves of one set, the mean of what each of them says it is. Of a basis
        that is held orthonormal, that mean is the nearest orthonormal set.

        Source: Diaconu & Worrall (2019), the variant "average".
        """
        group, (side, _) = self.group, self.kernel_size
        flat = self.atoms.detach().double().flatten(2)
        index = {
            exact: torch.from_numpy(grid_permutation(group, exact, side, side).copy()).to(flat.device)
            for exact in exact_elements(group, side, side)
        }
        means: dict[int, Tensor] = {}
        for rest in {rest for _, rest in factor_exact(group, side, side)}:
            back = [flat[int(group.product[e, rest])][:, index[int(group.inverse[e])]] for e in index]
            mean = torch.stack(back).mean(0)
            means[rest] = nearest_orthonormal(mean) if self.orthogonal else mean
        averaged = _move_exactly(means, group, side).unflatten(-1, self.kernel_size)
        return _of(group, averaged.to(self.atoms.dtype), orthogonal=self.orthogonal)

    def frozen(self) -> FixedBasis:
        """The present atoms as a basis without parameters; layers copy it, and it can be pickled."""
        return _Constant(self.group, self.kernel_size, self.atoms).to(self.atoms.dtype)


@final
class OvercompleteBasis(FilterBasis):
    """Several bases concatenated along their atoms.

    Bases learned from different starts carry different directions well; a network takes its filters from all of them.

    Args:
        bases: Bases of one group and kernel size, of any families.

    Raises:
        ValueError: If there are none, or their groups or kernel sizes differ.

    Source: Diaconu & Worrall (2019), the variant "over-complete".
    """

    def __init__(self, bases: Sequence[FilterBasis]) -> None:
        if not bases:
            raise ValueError("OvercompleteBasis expects one or more bases, got none.")
        kinds = [(basis.group, basis.kernel_size) for basis in bases]
        for group, kernel_size in kinds:
            if (group, kernel_size) != kinds[0]:
                raise ValueError(
                    f"OvercompleteBasis expects bases of one group and kernel size, got {kinds[0][0]} with "
                    f"{kinds[0][1]} beside {group} with {kernel_size}."
                )
        super().__init__(*kinds[0])
        self.bases = nn.ModuleList(bases)

    @property
    def num_atoms(self) -> int:
        """Number of atoms of all bases together."""
        return sum(basis.num_atoms for basis in self._parts())

    def forward(self, dtype: torch.dtype | None = None) -> Float[Tensor, "g d ky kx"]:
        """The atoms of every group element, one basis after the other, in a dtype or that of the bases."""
        return torch.cat([basis(dtype) for basis in self._parts()], dim=1)

    def _parts(self) -> list[FilterBasis]:
        return [basis for basis in self.bases if isinstance(basis, FilterBasis)]


def nearest_orthonormal(matrices: Float[Tensor, "*g d p"]) -> Float[Tensor, "*g d p"]:
    """The matrices nearest to given ones whose rows (columns, if there are more rows) are orthonormal."""
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    return left @ right


class _Constant(FixedBasis):
    """Atoms that training has left behind."""


class _Polish(nn.Module):
    """From matrices orthonormal but for rounding to atoms, and back when atoms are assigned.

    One step of Newton's iteration for the nearest orthonormal matrix leaves no more error than one product has.
    """

    def __init__(self, kernel_size: tuple[int, int]) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, matrices: Tensor) -> Tensor:
        gram = matrices @ matrices.mT if matrices.shape[1] <= matrices.shape[2] else matrices.mT @ matrices
        step = (gram - torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)) / 2
        change = step @ matrices if matrices.shape[1] <= matrices.shape[2] else matrices @ step
        return (matrices - change).unflatten(-1, self.kernel_size)

    def right_inverse(self, atoms: Tensor) -> Tensor:
        return atoms.flatten(2)


def _of(group: Group, atoms: Float[Tensor, "g d ky kx"], *, orthogonal: bool) -> LearnedBasis:
    """A basis of given atoms."""
    learned = LearnedBasis(group, atoms.shape[-1], atoms.shape[1])
    learned.set_atoms(atoms, orthogonal=orthogonal)
    return learned


def _move_exactly(rests: dict[int, Float[Tensor, "d p"]], group: Group, side: int) -> Float[Tensor, "g d p"]:
    """Atoms at every element from those at the rests of `factor_exact`, by exact moves of the grid."""
    moved = []
    for exact, rest in factor_exact(group, side, side):
        index = torch.from_numpy(grid_permutation(group, exact, side, side).copy())
        moved.append(rests[rest][:, index.to(rests[rest].device)])
    return torch.stack(moved)
