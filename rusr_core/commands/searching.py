"""A method is applied to a batch of inputs, with a bar of its steps."""

from collections.abc import Callable

from torch import Tensor
from tqdm import tqdm

from rusr_core.baselines import Configured
from rusr_core.degradations.base import Degradation
from rusr_core.presets import Preset
from rusr_core.prior import Prior
from rusr_core.restore import Step, restore
from rusr_core.results import Restoration


def apply(
    method: Preset | Configured, prior: Prior, y: Tensor, f: Degradation, *, seed: int, bar: tqdm, samples: int = 1
) -> Restoration:
    """The restoration of y `[N, 3, h, w]` in [0, 1]; `samples` answers to each by a preset."""
    options = {"seed": seed, "callback": _progress(bar)}
    if isinstance(method, Preset):
        return restore(prior, y, f, preset=method, samples=samples, **options)
    return method.restore(prior, y, f, **options)


def planned_steps(method: Preset | Configured) -> int:
    """How many steps the method takes at most, for the bar."""
    if isinstance(method, Preset):
        return sum(phase.steps for phase in method.phases)
    return int(method.settings.get("steps", 0))


def diverged(result: Restoration) -> list[str | None]:
    """Of each image why it is not finished, or None: only a search says so."""
    return list(getattr(result, "diverged", [None] * len(result.steps)))


def _progress(bar: tqdm) -> Callable[[Step], None]:
    def callback(step: Step) -> None:
        bar.set_postfix_str(f"{step.phase}, loss {step.losses['total'].nanmean():.3f}", refresh=False)
        bar.update()

    return callback
