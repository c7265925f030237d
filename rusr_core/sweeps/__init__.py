"""Sweeps: methods x tasks x images x seeds, one result file a unit, resumed by running the same sweep again."""

from rusr_core.sweeps.config import BenchmarkError, Method, SweepConfig
from rusr_core.sweeps.measurements import ImageFolder
from rusr_core.sweeps.methods import parse_methods
from rusr_core.sweeps.plan import SweepPlan, parse_tasks
from rusr_core.sweeps.workers import SweepSummary, run

__all__ = [
    "BenchmarkError",
    "ImageFolder",
    "Method",
    "SweepConfig",
    "SweepPlan",
    "SweepSummary",
    "parse_methods",
    "parse_tasks",
    "run",
]
