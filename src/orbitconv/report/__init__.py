"""One HTML page about any set of runs of `orbitconv train`: found, grouped, tested, drawn."""

from orbitconv.report.report import RunReport as RunReport
from orbitconv.report.report import write_run_report as write_run_report
from orbitconv.report.runs import Run as Run
from orbitconv.report.runs import find_runs as find_runs
