"""The benchmark: methods x tasks x images x seeds, one result file a unit, resumed by running it again."""

from rusr_core.sweeps.plan import SweepPlan
from rusr_core.sweeps.work import Method, SweepConfig
from rusr_core.sweeps.workers import run

__all__ = ["Method", "SweepPlan", "SweepConfig", "run"]
