"""The input itself, enlarged where it is small: the least that a method must beat.

Holes stay black. Nothing is drawn from a paper, and no prior is asked but for its resolution.
"""

from collections.abc import Callable

from torch import Tensor

from rusr_core.baselines.method import Baseline
from rusr_core.baselines.observation import AnyPrior, observe
from rusr_core.degradations.operator import AnyOperator
from rusr_core.images import resize
from rusr_core.restore import Restoration, Step


def nothing(
    prior: AnyPrior, y: Tensor, f: AnyOperator, *, seed: int = 0, callback: Callable[[Step], None] | None = None
) -> Restoration:
    """y [N, 3, h, w] as an image of the prior's resolution (bicubic) -> [N, 3, R, R]; no step is taken."""
    seen = observe(prior, y, f, seed, callback, gradient=False, kinds=AnyPrior)
    side = prior.resolution
    image = seen.y if seen.y.shape[2:] == (side, side) else resize(seen.y, side, "bicubic")
    return seen.result(prior, image, [0] * len(seen))


BASELINE = Baseline("nothing", nothing, prior="none")
