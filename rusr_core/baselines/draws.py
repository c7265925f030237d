"""Several draws of a method that draws once a run: it is run as often as draws are wanted."""

import dataclasses
import warnings
from collections.abc import Callable

import torch

from rusr_core import randomness
from rusr_core.errors import RusrWarning
from rusr_core.results import Restoration


def drawn(run: Callable[..., Restoration], seed: int, samples: int, callback: Callable | None) -> Restoration:
    """`samples` runs of a method that draws once a run, each from a seed of its own -> the first, and all draws.

    After Ctrl-C it has those that were finished; the first one may be unfinished.
    """
    first = run(seed=seed, callback=callback)
    images, interrupted, seconds = [first.image], first.interrupted, first.seconds
    passes = first.info.get("network_passes", 0)
    for number, word in enumerate(randomness.seeds(seed, samples - 1, 1), 2):
        if interrupted:
            break
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RusrWarning)  # the first run has said them
                result = run(seed=word, callback=_of_draw(number, callback))
        except KeyboardInterrupt:
            interrupted = True
            break
        interrupted, seconds = result.interrupted, seconds + result.seconds
        passes += result.info.get("network_passes", 0)
        images += [] if interrupted else [result.image]
    info = first.info | ({"network_passes": passes} if passes else {})
    more = {"drawn": torch.stack(images, 1), "seconds": seconds, "info": info}
    return dataclasses.replace(first, interrupted=interrupted, **more)


def _of_draw(number: int, callback: Callable | None) -> Callable | None:
    """The callback for another draw, which the phase of its steps names."""
    if callback is None:
        return None
    return lambda step: callback(dataclasses.replace(step, phase=f"{step.phase}, draw {number}"))
