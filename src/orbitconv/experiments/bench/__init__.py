"""How fast layers are beside `torch.nn.Conv2d`, escnn and e2cnn: ratios within one run, of checked layers."""

from orbitconv.experiments.bench.cases import CASES as CASES
from orbitconv.experiments.bench.compare import compare as compare
from orbitconv.experiments.bench.report import write_report as write_report
from orbitconv.experiments.bench.study import Bench as Bench
from orbitconv.experiments.bench.study import run_bench as run_bench
