"""How fast layers are beside `torch.nn.Conv2d`, escnn and e2cnn: ratios within one run, of checked layers."""

from studies.speed.cases import CASES as CASES
from studies.speed.study import Bench as Bench
from studies.speed.study import run_bench as run_bench
from studies.speed.study import write_report as write_report
