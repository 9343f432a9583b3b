"""Networks of every family on a data set: trials, training, measurements."""

from studies.networks.bases import FAMILIES as FAMILIES
from studies.networks.bases import LEARNED as LEARNED
from studies.networks.bases import Family as Family
from studies.networks.bases import NetworkBases as NetworkBases
from studies.networks.settings import STUDIES as STUDIES
from studies.networks.settings import NetworkStudy as NetworkStudy
from studies.networks.study import compare_networks as compare_networks
from studies.networks.trials import Trial as Trial
