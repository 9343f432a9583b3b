"""Speed of layers relative to `torch.nn.Conv2d`, escnn and e2cnn, within one run and after a check of their values."""

from studies.speed.cases import CASES as CASES
from studies.speed.study import Bench as Bench
from studies.speed.study import run_bench as run_bench
from studies.speed.study import write_report as write_report
