"""The benchmark: methods x tasks x images x seeds, one result file a unit, resumed by running it again.

    config = SweepConfig(folder, methods=(Method("report", presets.get("report")),))
    summary = run(config, SweepPlan(("report",), tasks.SINGLE, images, seeds=(0,)))

Whoever runs does the units that are not done and that nobody else holds; several runs on one folder share the work. A
unit that fails is recorded and the sweep goes on. Nothing here prints or draws. Protocol: baselines.md, sections 0.2,
14 and 15. Chapter: book/benchmark.ipynb.
"""

import dataclasses
import importlib
import inspect
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from rusr_core import __version__
from rusr_core.degradations.operator import for_image
from rusr_core.errors import RusrError
from rusr_core.files import data_path
from rusr_core.metrics.judges import Judge, image_scores, judge_of
from rusr_core.presets import Preset
from rusr_core.prior import Prior
from rusr_core.priors.load import load_prior
from rusr_core.priors.zoo import EMBEDDED
from rusr_core.restore import Restoration, Step, restore
from rusr_core.sweeps.measurements import ImageFolder, Measurement, degradation, measurement
from rusr_core.sweeps.plan import SweepPlan, WorkBatch, WorkUnit
from rusr_core.sweeps.provenance import code_digest, provenance, weights_digest
from rusr_core.sweeps.storage import StorageError, agree, claim, digest, read_record, write_json, write_result

DONE, TAKEN, FAILED = "done", "taken", "failed"  # what may become of a batch
GROWS = ("methods", "images")  # a folder may gain methods and images; what it holds of them may not change


class BenchmarkError(RusrError):
    """A method that cannot be called, or a restoration that is not one."""


class Restorer(Protocol):
    """Every method, ours and the baselines."""

    def __call__(
        self,
        prior: Prior,
        y: Tensor,
        f: object,
        *,
        generator: torch.Generator | None = None,
        callback: Callable[[Step], None] | None = None,
    ) -> Restoration: ...


@dataclass(frozen=True)
class Method:
    """A method by the name that tables show: our search with a preset, or "module:function" of a `Restorer`."""

    name: str
    how: Preset | str

    def restore(self, prior: Prior, y: Tensor, f: object, truth: Tensor, seed: int) -> Restoration:
        """Restore y; the truth is for presets that are oracles, which their results say."""
        generator = torch.Generator().manual_seed(seed)
        if isinstance(self.how, Preset):
            clean = truth if self.how.identity_reference == "clean" else None
            return restore(prior, y, f, preset=self.how, generator=generator, clean=clean)
        return self.function()(prior, y, f, generator=generator)

    def function(self) -> Restorer:
        """The function that "module:function" names."""
        module, _, name = str(self.how).partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise BenchmarkError(f"method {self.how!r}: expected module:function ({error})") from error

    def configuration(self) -> object:
        """What must not change while results are collected."""
        if isinstance(self.how, Preset):
            return dataclasses.asdict(self.how)
        source = inspect.getsourcefile(self.function())
        return {"function": self.how, "source": digest(Path(source).read_bytes()) if source else None}


@dataclass(frozen=True)
class SweepConfig:
    """What all units share; small, since it travels to every worker."""

    folder: Path  # of the results
    methods: tuple[Method, ...]
    images: Path = dataclasses.field(default_factory=lambda: data_path("portraits/test"))
    prior: str = EMBEDDED
    perceptual: str | None = None
    identity: str | None = None
    judge: str | None = None  # a `PortraitNet` file; default: see `evaluation.judge_of`
    device: str = "cpu"

    def method(self, name: str) -> Method:
        """The method of that name."""
        return next(method for method in self.methods if method.name == name)


@dataclass(frozen=True)
class SweepSummary:
    """How a run ended: units."""

    planned: int
    before: int  # were done when it started
    failed: tuple[str, ...] = ()  # what failed, a line a batch

    @property
    def ok(self) -> bool:
        return not self.failed


@lru_cache(maxsize=1)
def networks(prior: str, perceptual: str | None, identity: str | None, judge: str | None, device: str) -> tuple:
    """Prior and judge, loaded once a process."""
    found = load_prior(prior, device=device, perceptual=perceptual, identity=identity)
    return found, judge_of(found, judge)


def load(config: SweepConfig, device: str | None = None) -> tuple[Prior, Judge]:
    """The networks of a config, on `device` if this worker has its own."""
    return networks(config.prior, config.perceptual, config.identity, config.judge, device or config.device)


def prepare(config: SweepConfig, plan: SweepPlan, device: str | None = None) -> None:
    """Check everything that units need, and fix the folder's configuration. A RusrError says what differs from it.

    `device`: where this process loads the networks, if it is not one that works (default: the config's).
    """
    prior, judge = load(config, device)
    methods = {name: config.method(name).configuration() for name in plan.methods}
    images = ImageFolder(config.images)
    missing = next((name for name in plan.images if name not in images.paths), None)
    if missing is not None:
        raise BenchmarkError(f"{config.images}: no image {missing!r}")
    config.folder.mkdir(parents=True, exist_ok=True)
    wanted = {
        "format": 1,
        "version": __version__,
        "code": code_digest(),
        "torch": torch.__version__,
        "device": torch.device(config.device).type,
        "dtype": "float32",
        "batch_size": plan.batch_size,
        "prior": {
            "name": prior.name,
            "generator": weights_digest(prior.generator),
            "perceptual": weights_digest(prior.perceptual),
            "identity": weights_digest(prior.identity),
            "lr_scale": prior.lr_scale,
        },
        "judge": {"suffix": judge.suffix, "perceptual": weights_digest(judge.perceptual)},
        "methods": methods,
        "images": images.digests(plan.images),
    }
    agree(config.folder, wanted, GROWS)


def complete(folder: Path, batch: WorkBatch) -> bool:
    """Whether all results of a batch are there, whole."""
    return all(read_record(folder / unit.path) is not None for unit in batch.units)


def remaining(folder: Path, plan: SweepPlan) -> list[WorkBatch]:
    """The batches of a plan that are not done."""
    return [batch for batch in plan.batches() if not complete(folder, batch)]


def run_batch(config: SweepConfig, batch: WorkBatch, device: str | None = None) -> tuple[str, str]:
    """Do a batch unless it is done or someone else is at it; -> what became of it, and why if it failed.

    Only a StorageError is raised (then nothing can be recorded), or KeyboardInterrupt.
    """
    with ExitStack() as stack:
        if not all([stack.enter_context(claim(config.folder, unit.path)) for unit in batch.units]):
            return TAKEN, ""
        if complete(config.folder, batch):
            return DONE, ""
        reasons = _attempt(config, batch, device)
        if reasons and len(batch.images) > 1:  # one image may have spoilt the others: each alone
            singles = [dataclasses.replace(batch, images=(image,)) for image in batch.images]
            reasons = [reason for single in singles for reason in _attempt(config, single, device)]
    return (FAILED, "; ".join(reasons)) if reasons else (DONE, "")


def _attempt(config: SweepConfig, batch: WorkBatch, device: str | None) -> list[str]:
    """Restore a batch; -> why it failed, if it did."""
    try:
        _restore_batch(config, batch, device)
        return []
    except StorageError:
        raise
    except Exception as error:  # whatever a method does, the sweep goes on
        reason = f"{batch}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        record = {"error": reason, "traceback": traceback.format_exc(), "at": _now()}
        for unit in batch.units:
            if read_record(config.folder / unit.path) is None:
                write_json(_error_path(config.folder, unit), record)
        return [reason]


def _restore_batch(config: SweepConfig, batch: WorkBatch, device: str | None) -> None:
    """Restore the images of a batch as one batch, score them and write the results that are not there yet."""
    prior, judge = load(config, device)
    side = prior.generator.config.resolution
    images = ImageFolder(config.images)
    measurements = [measurement(config.folder, images, batch.task, name, batch.seed, side) for name in batch.images]
    y, truth = (torch.cat([getattr(t, name) for t in measurements]) for name in ("y", "truth"))
    f = degradation(batch.task, batch.images, batch.seed)
    begun = time.perf_counter()
    result = config.method(batch.method).restore(prior, y, f, truth, batch.seed)
    seconds = (time.perf_counter() - begun) / len(measurements)
    if result.interrupted:
        raise KeyboardInterrupt
    if result.image.shape != truth.shape or not result.image.isfinite().all():
        found, expected = tuple(result.image.shape), tuple(truth.shape)
        raise BenchmarkError(f"{batch.method} returned images {found}, expected {expected} of finite numbers")
    scores = [  # each image with its own draws of f
        image_scores(x, m.truth, m.y, for_image(f, i), m.generator(), judge, prior)
        for i, (x, m) in enumerate(zip(result.image.split(1), measurements, strict=True))
    ]
    origin = provenance(prior.generator.mapping.w_avg.device) | {"seconds": round(seconds, 4), "at": _now()}
    for i, unit in enumerate(batch.units):
        if read_record(config.folder / unit.path) is None:
            own = {key: value.item() for key, value in scores[i].items()}
            record = _record(unit, result, i, own, judge.suffix, measurements[i]) | {"run": origin}
            write_result(config.folder / unit.path, result.image[i : i + 1], record)
        _error_path(config.folder, unit).unlink(missing_ok=True)


def _record(unit: WorkUnit, result: Restoration, i: int, scores: dict, suffix: str, shown: Measurement) -> dict:
    """What a result file says of a unit; "run" is added, the only part that differs when a unit is done again."""
    return {
        "method": unit.method,
        "task": str(unit.task),
        "image": unit.image,
        "seed": unit.seed,
        "preset": result.preset,
        "oracle": result.oracle,
        "steps": result.steps[i] if result.phases else 0,
        "noise_seed": shown.noise_seed,
        "strokes_seed": shown.strokes_seed,
        "judge": suffix,
        "scores": scores,
    }


def _error_path(folder: Path, unit: WorkUnit) -> Path:
    return folder / "errors" / Path(unit.path).relative_to("units").with_suffix(".json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
