"""The benchmark: methods x tasks x images x seeds, one result file a unit, resumed by running it again.

    setting = Setting(folder, methods=(Method("report", presets.get("report")),))
    summary = run(setting, Plan(("report",), tasks.SINGLE, images, seeds=(0,)))

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
from rusr_core.errors import RusrError
from rusr_core.files import data_path
from rusr_core.metrics.judges import Judge, image_scores, judge_of
from rusr_core.presets import Preset
from rusr_core.prior import Prior
from rusr_core.priors.load import load_prior
from rusr_core.priors.zoo import EMBEDDED
from rusr_core.restore import Restoration, Step, restore
from rusr_core.sweeps.plan import Group, Plan, Unit
from rusr_core.sweeps.provenance import code_digest, provenance, weights_digest
from rusr_core.sweeps.storage import StorageError, agree, claim, digest, read_record, write_json, write_result
from rusr_core.sweeps.targets import Images, Target, degradation, target

DONE, TAKEN, FAILED = "done", "taken", "failed"  # what may become of a group
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
class Setting:
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
class Summary:
    """How a run ended: units."""

    planned: int
    before: int  # were done when it started
    failed: tuple[str, ...] = ()  # what failed, a line a group

    @property
    def ok(self) -> bool:
        return not self.failed


@lru_cache(maxsize=1)
def networks(prior: str, perceptual: str | None, identity: str | None, judge: str | None, device: str) -> tuple:
    """Prior and judge, loaded once a process."""
    found = load_prior(prior, device=device, perceptual=perceptual, identity=identity)
    return found, judge_of(found, judge)


def load(setting: Setting, device: str | None = None) -> tuple[Prior, Judge]:
    """The networks of a setting, on `device` if this worker has its own."""
    return networks(setting.prior, setting.perceptual, setting.identity, setting.judge, device or setting.device)


def prepare(setting: Setting, plan: Plan, device: str | None = None) -> None:
    """Check everything that units need, and fix the folder's configuration. A RusrError says what differs from it.

    `device`: where this process loads the networks, if it is not one that works (default: the setting's).
    """
    prior, judge = load(setting, device)
    methods = {name: setting.method(name).configuration() for name in plan.methods}
    images = Images(setting.images)
    missing = next((name for name in plan.images if name not in images.paths), None)
    if missing is not None:
        raise BenchmarkError(f"{setting.images}: no image {missing!r}")
    setting.folder.mkdir(parents=True, exist_ok=True)
    wanted = {
        "format": 1,
        "version": __version__,
        "code": code_digest(),
        "torch": torch.__version__,
        "device": torch.device(setting.device).type,
        "dtype": "float32",
        "batch": plan.batch,
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
    agree(setting.folder, wanted, GROWS)


def complete(folder: Path, group: Group) -> bool:
    """Whether all results of a group are there, whole."""
    return all(read_record(folder / unit.path) is not None for unit in group.units)


def remaining(folder: Path, plan: Plan) -> list[Group]:
    """The groups of a plan that are not done."""
    return [group for group in plan.groups() if not complete(folder, group)]


def run_group(setting: Setting, group: Group, device: str | None = None) -> tuple[str, str]:
    """Do a group unless it is done or someone else is at it; -> what became of it, and why if it failed.

    Only a StorageError is raised (then nothing can be recorded), or KeyboardInterrupt.
    """
    with ExitStack() as stack:
        if not all([stack.enter_context(claim(setting.folder, unit.path)) for unit in group.units]):
            return TAKEN, ""
        if complete(setting.folder, group):
            return DONE, ""
        reasons = _attempt(setting, group, device)
        if reasons and len(group.images) > 1:  # one image may have spoilt the others: each alone
            singles = [dataclasses.replace(group, images=(image,)) for image in group.images]
            reasons = [reason for single in singles for reason in _attempt(setting, single, device)]
    return (FAILED, "; ".join(reasons)) if reasons else (DONE, "")


def _attempt(setting: Setting, group: Group, device: str | None) -> list[str]:
    """Restore a group; -> why it failed, if it did."""
    try:
        _restore_group(setting, group, device)
        return []
    except StorageError:
        raise
    except Exception as error:  # whatever a method does, the sweep goes on
        reason = f"{group}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        record = {"error": reason, "traceback": traceback.format_exc(), "at": _now()}
        for unit in group.units:
            if read_record(setting.folder / unit.path) is None:
                write_json(_error_path(setting.folder, unit), record)
        return [reason]


def _restore_group(setting: Setting, group: Group, device: str | None) -> None:
    """Restore the images of a group as one batch, score them and write the results that are not there yet."""
    prior, judge = load(setting, device)
    side = prior.generator.config.resolution
    images = Images(setting.images)
    targets = [target(setting.folder, images, group.task, name, group.seed, side) for name in group.images]
    y, truth = (torch.cat([getattr(t, name) for t in targets]) for name in ("y", "truth"))
    f = degradation(group.task, group.images, group.seed)
    begun = time.perf_counter()
    result = setting.method(group.method).restore(prior, y, f, truth, group.seed)
    seconds = (time.perf_counter() - begun) / len(targets)
    if result.interrupted:
        raise KeyboardInterrupt
    if result.image.shape != truth.shape or not result.image.isfinite().all():
        found, expected = tuple(result.image.shape), tuple(truth.shape)
        raise BenchmarkError(f"{group.method} returned images {found}, expected {expected} of finite numbers")
    generators = [t.generator() for t in targets]
    scores = image_scores(result.image, truth, y, f, generators, judge, prior)
    origin = provenance(prior.generator.mapping.w_avg.device) | {"seconds": round(seconds, 4), "at": _now()}
    for i, unit in enumerate(group.units):
        if read_record(setting.folder / unit.path) is None:
            own = {key: value[i].item() for key, value in scores.items()}
            record = _record(unit, result, i, own, judge.suffix, targets[i]) | {"run": origin}
            write_result(setting.folder / unit.path, result.image[i : i + 1], record)
        _error_path(setting.folder, unit).unlink(missing_ok=True)


def _record(unit: Unit, result: Restoration, i: int, scores: dict, suffix: str, target: Target) -> dict:
    """What a result file says of a unit; "run" is added, the only part that differs when a unit is done again."""
    return {
        "method": unit.method,
        "task": str(unit.task),
        "image": unit.image,
        "seed": unit.seed,
        "preset": result.preset,
        "oracle": result.oracle,
        "steps": result.steps[i] if result.phases else 0,
        "noise_seed": target.noise,
        "strokes_seed": target.strokes,
        "judge": suffix,
        "scores": scores,
    }


def _error_path(folder: Path, unit: Unit) -> Path:
    return folder / "errors" / Path(unit.path).relative_to("units").with_suffix(".json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
