"""Search for good settings of a training, by one process or by many that see one folder."""

from orbitconv.sweep.outcome import Outcome as Outcome
from orbitconv.sweep.running import run_sweep as run_sweep
from orbitconv.sweep.search_space import Dimension as Dimension
from orbitconv.sweep.search_space import parse_search as parse_search
from orbitconv.sweep.search_space import with_values as with_values
from orbitconv.sweep.settings import Sweep as Sweep
