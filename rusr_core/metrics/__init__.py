"""How good a restoration is: accuracy, fidelity, realism; see `scores`."""

from rusr_core.metrics.intervals import interval, mean_interval
from rusr_core.metrics.scores import MetricError, fidelity, identity, judge, lpips, psnr, ssim

__all__ = ["MetricError", "fidelity", "identity", "interval", "judge", "lpips", "mean_interval", "psnr", "ssim"]
