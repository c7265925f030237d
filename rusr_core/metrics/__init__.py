"""How good a restoration is: accuracy, fidelity, realism; see `scores`."""

from rusr_core.metrics.checks import MetricError
from rusr_core.metrics.intervals import mean_factor, mean_interval, spread, with_interval
from rusr_core.metrics.scores import fidelity, identity, judge, lpips, psnr, ssim

__all__ = [
    "MetricError", "fidelity", "identity", "judge", "lpips", "mean_factor", "mean_interval", "psnr", "spread",
    "ssim", "with_interval",
]  # fmt: skip
