"""How far bases and networks are from equivariance and unitarity."""

from orbitconv.metrics.basis import basis_equivariance_error as basis_equivariance_error
from orbitconv.metrics.basis import condition_number as condition_number
from orbitconv.metrics.basis import group_law_error as group_law_error
from orbitconv.metrics.basis import normalize_atoms as normalize_atoms
from orbitconv.metrics.basis import unitarity_error as unitarity_error
from orbitconv.metrics.diagnosis import CheckedLayer as CheckedLayer
from orbitconv.metrics.diagnosis import EquivarianceReport as EquivarianceReport
from orbitconv.metrics.diagnosis import check as check
from orbitconv.metrics.equivariance import equivariance_error as equivariance_error
