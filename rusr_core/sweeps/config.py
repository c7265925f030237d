"""What all units of a sweep share: methods, images, networks, arithmetic. Small, since it travels to every worker."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from torch import Tensor

from rusr_core.arithmetic import MODES, arithmetic
from rusr_core.baselines import Baseline, Configured, Tuned, arguments
from rusr_core.baselines.tuned import base_of, own_samples, prior_of
from rusr_core.errors import RusrError
from rusr_core.files import as_path, data_path
from rusr_core.limits import MAX_SAMPLES, check_whole, shown
from rusr_core.metrics.checks import out_of_range
from rusr_core.metrics.judges import Judge, judge_of
from rusr_core.own_code import find_object, source_digest
from rusr_core.presets import Preset, known_as
from rusr_core.prior import DiffusionPrior, Prior
from rusr_core.priors.diffusion import denoiser_beside
from rusr_core.priors.load import load_prior
from rusr_core.priors.zoo import EMBEDDED
from rusr_core.restore import Restoration, Step, restore
from rusr_core.search.stopping import RestorationError


class BenchmarkError(RusrError):
    """A sweep that cannot be run as it is described, or a method that does not return a restoration."""


class Restorer(Protocol):
    """Every method, ours and the baselines: degraded images y [N, 3, h, w] -> restored ones [N, 3, R, R]."""

    def __call__(
        self,
        prior: Prior,
        y: Tensor,
        f: object,
        *,
        seed: int = 0,
        callback: Callable[[Step], None] | None = None,
    ) -> Restoration: ...


@dataclass(frozen=True)
class Method:
    """A method by the name that tables show: our search with a preset, a compared method with its settings, either
    of them tuned, or "module:name" of a `Restorer` or a `Baseline`."""

    name: str
    how: Preset | Configured | Tuned | str
    samples: int | None = None  # answers to each image; None: one, or as many as the method draws of itself

    def __post_init__(self) -> None:
        """BenchmarkError for what is no method, for a name that stands for another one, for a number of samples that is
        none, or several of somebody's own function; BaselineError for one that a compared method cannot draw."""
        if isinstance(self.name, str) and known_as(self.name) != self.name:  # whoever reads results takes it for that
            raise BenchmarkError(f"method {self.name!r}: stands for {known_as(self.name)!r}, expected another name")
        if not isinstance(self.how, Preset | Configured | Tuned | str):
            expected = "a preset, what `baselines.find` gives, or 'MODULE:FUNCTION'"
            raise BenchmarkError(f"method {self.name} is {shown(self.how)}: expected {expected}")
        if self.samples is None:
            return
        check_whole(f"samples of {self.name}", self.samples, 1, MAX_SAMPLES, BenchmarkError)
        if isinstance(self.how, Configured | Tuned):
            self.how.check_samples(self.samples)
        elif self.samples > 1 and not isinstance(self.how, Preset):
            raise BenchmarkError(f"{self.name} draws no samples: expected samples=1, got {self.samples}")

    def restore(self, prior: Prior | DiffusionPrior, y: Tensor, f: object, truth: Tensor, seed: int) -> Restoration:
        """Restore y with what `load_for` gives; the truth is for presets that are oracles, which results say."""
        if isinstance(self.how, Preset):
            clean = truth if self.how.identity_reference == "clean" else None
            return restore(prior, y, f, preset=self.how, seed=seed, clean=clean, samples=self.samples or 1)
        if isinstance(self.how, Configured | Tuned):
            return self.how.restore(prior, y, f, seed=seed, samples=self.samples)
        return self.checked(self.function()(prior, y, f, seed=seed), len(y))

    def checked(self, found: object, num: int) -> Restoration:
        """What a function of somebody's own has returned for `num` images. Raises BenchmarkError for anything else."""
        if not isinstance(found, Restoration) or len(found.steps) != num:
            told = f"{len(found.steps)} steps" if isinstance(found, Restoration) else type(found).__name__
            raise BenchmarkError(f"{self.how} returned {told}: expected a Restoration with the steps of {num} images")
        return found

    def reason(self, f: object) -> str | None:
        """Why the method cannot invert f, "n/a" in tables; None if it can."""
        if isinstance(self.how, str):
            own = self.baseline()
            return own.reason(f) if own is not None else None
        return None if isinstance(self.how, Preset) else self.how.reason(f)

    def baseline(self) -> Baseline | None:
        """The `Baseline` that "module:name" names, None where it is a function. Raises BenchmarkError for a method that
        restores with a denoiser, which only a method of the library is given."""
        found = find_object(str(self.how))
        if not isinstance(found, Baseline):
            return None
        if found.prior == "diffusion":
            expected = "a method of the generator; others are listed in rusr_core/baselines"
            raise BenchmarkError(f"method {self.name}: {self.how} restores with a denoiser, expected {expected}")
        return found

    def function(self) -> Restorer:
        """The function that "module:name" names, or that of the `Baseline` there. Raises BenchmarkError, also for one
        that takes other arguments."""
        own = self.baseline()
        found = find_object(str(self.how)) if own is None else own.function
        if not callable(found):
            raise BenchmarkError(f"method {self.name}: {self.how} is {type(found).__name__}, expected a function")
        takes = arguments(found)
        try:
            if takes is not None:
                takes.bind("prior", "y", "f", seed=0)
        except TypeError:
            told = f"{self.how} takes {takes}, expected (prior, y, f, *, seed=0, callback=None)"
            raise BenchmarkError(f"method {self.name}: {told}") from None
        return found

    def configuration(self) -> object:
        """What must not change while results are collected."""
        besides = {} if self.samples in (None, own_samples(self.how)) else {"samples": self.samples}
        base = base_of(self.how)
        source = base.origin() if isinstance(base, Baseline) else {}
        besides |= source
        if isinstance(self.how, Configured):
            settings = self.how.values if source else self.how.settings  # the others stand in the source
            return {"baseline": self.how.baseline.name, "settings": settings} | besides
        if isinstance(self.how, Preset | Tuned):
            return dict(self.how.values()) | besides
        self.function()
        return {"function": self.how, "source": source_digest(self.how.partition(":")[0])}


def check_pictures(name: str, result: Restoration, expected: tuple[int, ...]) -> None:
    """BenchmarkError unless a method's pictures are [N, 3, R, R], RestorationError unless they are finite and in
    [0, 1], or so near to it that they only were not clamped."""
    found = tuple(result.picture.shape)
    if found != expected:
        raise BenchmarkError(f"{name} returned images {found}, expected {expected} of finite numbers")
    if not result.picture.isfinite().all():
        raise RestorationError(f"{name} returned images {found} with NaN or infinity, expected finite numbers")
    if (told := out_of_range(result.picture)) is not None:
        raise RestorationError(f"{name} returned {told}")


@dataclass(frozen=True)
class SweepConfig:
    """What all units share."""

    folder: Path  # of the results; or its name, as of `images`
    methods: tuple[Method, ...]
    images: Path = dataclasses.field(default_factory=lambda: data_path("portraits/test"))
    prior: str = EMBEDDED
    perceptual: str | None = None
    identity: str | None = None
    judge: str | None = None  # a `PortraitNet` file; default: see `metrics.judges.judge_of`
    denoiser: str | None = None  # a `Denoiser` file for the diffusion methods; default: that of the embedded prior
    device: str = "cpu"
    arithmetic: str = "exact"  # "fast" allows TF32 and non-deterministic kernels on a GPU
    label: int | None = None  # the class of a conditional generator; the prior's name in the results says which

    def __post_init__(self) -> None:
        for name in ("folder", "images"):
            object.__setattr__(self, name, as_path(getattr(self, name), BenchmarkError))
        if isinstance(self.methods, str) or not all(isinstance(method, Method) for method in self.methods):
            raise BenchmarkError(f"methods are {shown(self.methods)}: expected a tuple of Method")
        if self.arithmetic not in MODES:
            raise BenchmarkError(f"arithmetic {self.arithmetic!r}: expected one of {', '.join(MODES)}")

    def method(self, name: str) -> Method:
        """The method of that name. Raises BenchmarkError."""
        for method in self.methods:
            if method.name == name:
                return method
        raise BenchmarkError(f"no method {name!r}; expected one of {', '.join(m.name for m in self.methods)}")


_LOADING = threading.Lock()  # threads of a worker that start together load the networks once


def load(config: SweepConfig, device: str | None = None) -> tuple[Prior, Judge]:
    """The networks of a sweep, on `device` if this worker has its own; loaded once a process."""
    with _LOADING:
        where = device or config.device
        return _networks(config.prior, config.label, config.perceptual, config.identity, config.judge, where)


def load_for(config: SweepConfig, method: Method, device: str | None = None) -> Prior | DiffusionPrior:
    """What a method restores with: the sweep's prior, or for diffusion methods the denoiser; loaded once a process.

    Raises ZooError where no denoiser is installed, or the file's does not belong to the prior.
    """
    prior, _ = load(config, device)
    if prior_of(method.how) != "diffusion":
        return prior
    with _LOADING:
        return _denoiser(prior, config.prior, config.denoiser)


_denoiser = lru_cache(maxsize=1)(denoiser_beside)


@lru_cache(maxsize=1)
def _networks(
    prior: str, label: int | None, perceptual: str | None, identity: str | None, judge: str | None, device: str
) -> tuple[Prior, Judge]:
    found = load_prior(prior, device=device, perceptual=perceptual, identity=identity, label=label)
    return found, judge_of(found, judge)


class _SharedArithmetic:
    """The arithmetic of a sweep. Its switches belong to the process: the first thread that computes sets them, the
    last one to finish sets them back.
    """

    def __init__(self) -> None:
        self.lock, self.threads, self.mode, self.switches = threading.Lock(), 0, "", ExitStack()

    @contextmanager
    def __call__(self, mode: str) -> Iterator[None]:
        with self.lock:
            if self.threads and mode != self.mode:
                raise BenchmarkError(f"arithmetic {mode!r}: another sweep of this process computes {self.mode!r}")
            if not self.threads:
                self.switches.enter_context(arithmetic(mode))
            self.mode, self.threads = mode, self.threads + 1
        try:
            yield
        finally:
            with self.lock:
                self.threads -= 1
                if not self.threads:
                    self.switches.close()


shared_arithmetic = _SharedArithmetic()
