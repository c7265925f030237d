"""Random numbers that one seed fixes on every device: they are drawn on the CPU in float32, then moved.

Wherever the library takes `generator`, it is one `torch.Generator` on the CPU. A batch draws from it as
`torch.randn(x.shape, generator=generator)` does: the images in turn, so that what an image gets depends on those
before it. `restore` and the sweeps, where each image of a batch must get what it would get alone, apply a random
operator image by image, each with a generator of its own. Where random numbers are drawn, `None` is an error.

The global generators are never touched. Somebody's operator that draws from them (`torch.randn_like`) is run inside
`seeded_globals`, which puts their states back.
"""

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.limits import MAX_COUNT, MAX_SEED, check_seed, check_whole

_GLOBALS = threading.RLock()  # the global generators serve one thread at a time


class RandomnessError(RusrError):
    """Random numbers are to be drawn and there is no generator that can draw them."""


def seeds(seed: int, num: int, start: int = 0) -> list[int]:
    """Independent seeds for the images `start` ... `start + num - 1` of a data set, a function of (seed, index).

    Raises `RandomnessError` for what is no seed, number or index.
    """
    check_seed(seed, RandomnessError)
    check_whole("num", num, 0, MAX_COUNT, RandomnessError)
    check_whole("start", start, 0, MAX_SEED, RandomnessError)
    return [int(np.random.SeedSequence([seed, start + i]).generate_state(1)[0]) for i in range(num)]


def generators(seed: int, num: int, start: int = 0) -> list[torch.Generator]:
    """Independent generators for the images `start` ... `start + num - 1` of a data set, see `seeds`."""
    return [torch.Generator().manual_seed(word) for word in seeds(seed, num, start)]


def checked(generator: torch.Generator | None) -> torch.Generator:
    """The generator itself. Raises `RandomnessError` if it is none, or is not on the CPU."""
    if generator is None:
        raise RandomnessError("random numbers need a generator, got None; expected torch.Generator().manual_seed(0)")
    if not isinstance(generator, torch.Generator) or generator.device.type != "cpu":
        found = f"one on {generator.device}" if isinstance(generator, torch.Generator) else repr(generator)
        raise RandomnessError(f"expected one torch.Generator on the CPU, got {found}")
    return generator


def normal(shape: Sequence[int], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """N(0, 1) numbers of `shape`, with the dtype and device of `like`. Raises `RandomnessError`."""
    return torch.randn(tuple(shape), generator=checked(generator)).to(like)


def uniform(shape: Sequence[int], generator: torch.Generator | None, like: Tensor) -> Tensor:
    """U[0, 1) numbers of `shape`, with the dtype and device of `like`. Raises `RandomnessError`."""
    return torch.rand(tuple(shape), generator=checked(generator)).to(like)


def poisson(rate: Tensor, generator: torch.Generator | None) -> Tensor:
    """Poisson counts with the given rates, same shape, dtype and device. Raises `RandomnessError`."""
    return torch.poisson(rate.detach().float().cpu(), generator=checked(generator)).to(rate)


@contextmanager
def seeded_globals(seed: int, device: torch.device) -> Iterator[None]:
    """Inside, the global generators of torch (the CPU's and `device`'s), numpy and Python start from `seed`.

    Afterwards they are where they were. Other threads that use this function wait; other code that draws from the
    global generators at the same time is disturbed, as by any change of a global state.
    """
    with _GLOBALS:
        before = _states(device)
        try:
            torch.default_generator.manual_seed(seed)
            if (module := _accelerator(device)) is not None:
                with module.device(device):
                    module.manual_seed(seed)
            np.random.seed(seed % 2**32)
            random.seed(seed)
            yield
        finally:
            _restore(before, device)


def draws_globally(call: Callable[[], object], device: torch.device) -> bool:
    """Whether `call` draws from a global generator, found by calling it. Their states are put back."""
    with seeded_globals(0, device):
        before = _states(device)
        call()
        return not _equal(before, _states(device))


def _accelerator(device: torch.device) -> object | None:
    """The module of a device that has generators of its own, or None."""
    return getattr(torch, device.type) if device.type in ("cuda", "xpu") else None


def _states(device: torch.device) -> dict[str, object]:
    """The states of the global generators."""
    states = {"torch": torch.get_rng_state(), "numpy": np.random.get_state(legacy=False), "python": random.getstate()}
    if (module := _accelerator(device)) is not None:
        states["device"] = module.get_rng_state(device)
    return states


def _restore(states: dict[str, object], device: torch.device) -> None:
    torch.set_rng_state(states["torch"])
    np.random.set_state(states["numpy"])
    random.setstate(states["python"])
    if "device" in states:
        _accelerator(device).set_rng_state(states["device"], device)


def _equal(one: dict[str, object], other: dict[str, object]) -> bool:
    tensors = (torch.equal(one[k], other[k]) for k in one if isinstance(one[k], Tensor))
    numpy = [(s["numpy"]["state"]["pos"], s["numpy"]["state"]["key"].tobytes()) for s in (one, other)]
    return all(tensors) and numpy[0] == numpy[1] and one["python"] == other["python"]
