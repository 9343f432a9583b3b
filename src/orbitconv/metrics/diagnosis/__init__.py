"""Find where a network loses equivariance, and say why."""

from orbitconv.metrics.diagnosis.diagnosis import CheckedLayer as CheckedLayer
from orbitconv.metrics.diagnosis.diagnosis import EquivarianceReport as EquivarianceReport
from orbitconv.metrics.diagnosis.diagnosis import check as check
