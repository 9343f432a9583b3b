"""Filter bases: for each group element, a set of sampled functions."""

from orbitconv.bases.exact import ExactBasis as ExactBasis
from orbitconv.bases.filter_basis import FilterBasis as FilterBasis
from orbitconv.bases.filter_basis import FixedBasis as FixedBasis
from orbitconv.bases.harmonic import HarmonicBasis as HarmonicBasis
from orbitconv.bases.interpolated import BilinearBasis as BilinearBasis
from orbitconv.bases.interpolated import GaussianBasis as GaussianBasis
from orbitconv.bases.interpolated import InterpolatedBasis as InterpolatedBasis
from orbitconv.bases.interpolated import NearestBasis as NearestBasis
from orbitconv.bases.spectral import SpectralBasis as SpectralBasis
from orbitconv.bases.unitary import UnitaryBasis as UnitaryBasis
