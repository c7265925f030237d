"""Several samples of a posterior beside the truth: does it lie among them, and is their spread as large as their error?

If the truth were one more sample, drawn like the S others, it would lie between the smallest and the largest of them at
a share (S - 1) / (S + 1) of all values, and the mean of the samples would be sqrt(1 + 1 / S) spreads away from it.
Chapter: book/answers.ipynb.
"""

from dataclasses import dataclass

from torch import Tensor

from rusr_core.limits import shown
from rusr_core.metrics.checks import MetricError, check_images


@dataclass(frozen=True, eq=False)
class Among:
    """Where a truth lies among samples, pixel by pixel: three maps [N, 1, R, R]."""

    inside: Tensor  # share of the channels between the smallest and the largest sample
    error: Tensor  # squared error of the samples' mean
    foretold: Tensor  # the same, if the truth were one more sample

    def scores(self, part: Tensor | float = 1.0) -> dict[str, Tensor]:
        """Of each image `[N]`: `inside`, the share of values between the smallest and the largest sample, and `factor`,
        the root of the error over the foretold one, 1 if calibrated. `part` [N, 1, R, R] weighs the pixels."""
        inside, error, foretold = ((each * part).flatten(1).sum(1) for each in (self.inside, self.error, self.foretold))
        num = (self.inside.new_ones(self.inside.shape) * part).flatten(1).sum(1)
        return {"inside": inside / num, "factor": (error / foretold).sqrt()}


def among(samples: Tensor, truth: Tensor) -> Among:
    """Where the truth `[N, 3, R, R]` lies among samples `[N, S, 3, R, R]`, both in [0, 1].

    Raises MetricError for other shapes, for images out of range, and for fewer than two samples, which have no spread.
    """
    if not isinstance(samples, Tensor) or samples.ndim != 5 or samples.shape[1] < 2:
        found = tuple(samples.shape) if isinstance(samples, Tensor) else shown(samples)
        raise MetricError(f"samples are {found}: expected [N, S, 3, R, R] with two samples or more")
    for one in samples.unbind(1):
        check_images("samples", one, truth)
    low, high, mean = samples.amin(1), samples.amax(1), samples.mean(1)
    inside = ((low <= truth) & (truth <= high)).float().mean(1, keepdim=True)
    error = (mean - truth).square().mean(1, keepdim=True)
    foretold = samples.var(1).mean(1, keepdim=True) * (1 + 1 / samples.shape[1])
    return Among(inside, error, foretold)
