"""One HTML page about any set of runs of `orbitconv train`: found, grouped, tested, drawn."""

from orbitconv.experiments.run_report.report import RunReport as RunReport
from orbitconv.experiments.run_report.report import write_run_report as write_run_report
from orbitconv.experiments.run_report.runs import Run as Run
from orbitconv.experiments.run_report.runs import find_runs as find_runs
