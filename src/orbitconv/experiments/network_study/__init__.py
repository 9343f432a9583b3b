"""Networks of every family on a data set: which ones, how they are trained, what is measured."""

from orbitconv.experiments.network_study.bases import FAMILIES as FAMILIES
from orbitconv.experiments.network_study.bases import LEARNED as LEARNED
from orbitconv.experiments.network_study.bases import Family as Family
from orbitconv.experiments.network_study.bases import NetworkBases as NetworkBases
from orbitconv.experiments.network_study.settings import STUDIES as STUDIES
from orbitconv.experiments.network_study.settings import NetworkStudy as NetworkStudy
from orbitconv.experiments.network_study.study import compare_networks as compare_networks
from orbitconv.experiments.network_study.trials import Trial as Trial
