"""Filter bases: for each group element, a set of sampled functions."""

from orbitconv.bases.exact import ExactBasis as ExactBasis
from orbitconv.bases.files import TabulatedBasis as TabulatedBasis
from orbitconv.bases.files import read_basis as read_basis
from orbitconv.bases.files import save_basis as save_basis
from orbitconv.bases.filter_basis import FilterBasis as FilterBasis
from orbitconv.bases.filter_basis import FixedBasis as FixedBasis
from orbitconv.bases.harmonic import HarmonicBasis as HarmonicBasis
from orbitconv.bases.interpolated import BilinearBasis as BilinearBasis
from orbitconv.bases.interpolated import GaussianBasis as GaussianBasis
from orbitconv.bases.interpolated import InterpolatedBasis as InterpolatedBasis
from orbitconv.bases.interpolated import NearestBasis as NearestBasis
from orbitconv.bases.learned import LearnedBasis as LearnedBasis
from orbitconv.bases.learned import OvercompleteBasis as OvercompleteBasis
from orbitconv.bases.library import list_bases as list_bases
from orbitconv.bases.registry import BasisName as BasisName
from orbitconv.bases.registry import build_basis as build_basis
from orbitconv.bases.registry import load_basis as load_basis
from orbitconv.bases.registry import parse_basis_name as parse_basis_name
from orbitconv.bases.spectral import SpectralBasis as SpectralBasis
from orbitconv.bases.spectral import available_dimensions as available_dimensions
from orbitconv.bases.unconstrained import LeastSquaresBasis as LeastSquaresBasis
from orbitconv.bases.unconstrained import ProcrustesBasis as ProcrustesBasis
from orbitconv.bases.unitary import UnitaryBasis as UnitaryBasis
