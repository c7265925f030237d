"""The work of a sweep: methods x tasks x images x seeds, one result file a unit, resumed by running it again.

    config = SweepConfig(folder, methods=(Method("default", presets.get("default")),))
    summary = run(config, SweepPlan(("default",), tasks.SINGLE, images, seeds=(0,)))

A run processes every unit that is neither finished nor claimed by another process; several runs on one folder share
the work. A unit that fails is recorded and the sweep goes on. Nothing here prints or draws.
Chapter: book/benchmark.ipynb.
"""

import dataclasses
import math
import time
import traceback
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.operator import for_image
from rusr_core.metrics.judges import Judge, image_scores
from rusr_core.metrics.samples import among
from rusr_core.prior import Prior
from rusr_core.results import Restoration, Search
from rusr_core.sweeps.claims import StorageError, claim
from rusr_core.sweeps.config import SweepConfig, check_pictures, load, load_for, shared_arithmetic
from rusr_core.sweeps.measurements import ImageFolder, Measurement, degradation, measurement
from rusr_core.sweeps.plan import WorkBatch, WorkUnit
from rusr_core.sweeps.provenance import peak_memory, provenance, start_of_peak
from rusr_core.sweeps.stamps import add_stamps, stamp_of
from rusr_core.sweeps.storage import read_record, write_json, write_result

DONE, TAKEN, FAILED = "done", "taken", "failed"  # what may become of a batch


def run_batch(config: SweepConfig, batch: WorkBatch, device: str | None = None) -> tuple[str, tuple[str, ...]]:
    """Do a batch unless it is done or someone else is at it; -> what became of it, and a line for each failure.

    Only a StorageError is raised (then nothing can be recorded), or KeyboardInterrupt.
    """
    with ExitStack() as stack:
        if not all([stack.enter_context(claim(config.folder, unit.path)) for unit in batch.units]):
            return TAKEN, ()
        if all(read_record(config.folder / unit.path) is not None for unit in batch.units):
            return DONE, ()
        failures = _attempt(config, batch, device)
        if failures and len(batch.images) > 1:  # one image may have spoilt the others: each alone
            singles = [dataclasses.replace(batch, images=(image,)) for image in batch.images]
            failures = [failure for single in singles for failure in _attempt(config, single, device)]
    return (FAILED, tuple(failures)) if failures else (DONE, ())


def _attempt(config: SweepConfig, batch: WorkBatch, device: str | None) -> list[str]:
    """Restore a batch; -> why it failed, if it did."""
    try:
        with shared_arithmetic(config.arithmetic):
            _restore_batch(config, batch, device)
        return []
    except StorageError:
        raise
    except (Exception, SystemExit) as error:  # whatever a method does, the sweep goes on
        failure = f"{batch}: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        record = {"error": failure, "traceback": traceback.format_exc(), "at": _now()}
        for unit in batch.units:
            if read_record(config.folder / unit.path) is None:
                write_json(_error_path(config.folder, unit), record)
        return [failure]


def _restore_batch(config: SweepConfig, batch: WorkBatch, device: str | None) -> None:
    """Restore the images of a batch at once, score them and write the results that are not there yet."""
    prior, judge = load(config, device)
    method = config.method(batch.method)
    restoring = load_for(config, method, device)
    side = prior.generator.resolution
    images = ImageFolder(config.images)
    where = (batch.seed, side, prior.device)
    shown = [measurement(config.folder, images, batch.task, name, *where) for name in batch.images]
    y, truth = (torch.cat([getattr(one, name) for one in shown]) for name in ("y", "truth"))
    f = degradation(batch.task, batch.images, batch.seed, prior.device)
    start_of_peak(prior.device)
    begun = time.perf_counter()
    result = method.restore(restoring, y, f, truth, batch.seed)
    seconds = (time.perf_counter() - begun) / len(shown)
    if result.interrupted:
        raise KeyboardInterrupt
    check_pictures(batch.method, result, tuple(truth.shape))
    origin = provenance(prior.device, prior.generator.w_mean.dtype, config.arithmetic) | peak_memory(prior.device)
    origin |= {"seconds": round(seconds, 4), "at": _now()}
    for i, unit in enumerate(batch.units):
        path = config.folder / unit.path
        if read_record(path) is None:
            scores = _scores(result.picture[i : i + 1], shown[i], for_image(f, i), judge, prior)
            record = _record(unit, result, i, scores, judge.suffix, shown[i]) | {"run": origin}
            write_result(path, result.picture[i : i + 1], record)
            add_stamps(config.folder, {unit.path: (stamp_of(path), True)})
        _error_path(config.folder, unit).unlink(missing_ok=True)


def _scores(image: Tensor, shown: Measurement, f: Degradation, judge: Judge, prior: Prior) -> dict[str, float]:
    """Scores of one restoration, which is degraded again by the operator and the draws of its own measurement."""
    scores = image_scores(image, shown.truth, shown.y, f, shown.generator(), judge, prior)
    return {key: value.item() for key, value in scores.items()}


def _record(unit: WorkUnit, result: Restoration, i: int, scores: dict, suffix: str, shown: Measurement) -> dict:
    """What a result file says of a unit; "run" is added, the only part that differs when a unit is done again."""
    row = i * (len(result.steps) // len(result.picture))  # of several searches the first
    return {
        "method": unit.method,
        "task": str(unit.task),
        "image": unit.image,
        "seed": unit.seed,
        "preset": result.method,
        "oracle": result.oracle,
        "terms": "+".join(result.terms) if isinstance(result, Search) else "",  # of the loss, that were active
        "diverged": (result.diverged[row] if isinstance(result, Search) else None) or "",  # where, if it did
        "steps": result.steps[row],
        "noise_seed": shown.noise_seed,
        "strokes_seed": shown.strokes_seed,
        "judge": suffix,
        "scores": scores,
    } | _of_samples(result, i, shown.truth)


def _of_samples(result: Restoration, i: int, truth: Tensor) -> dict[str, float]:
    """Of a method that gives several answers: their number, and where the truth lies among them."""
    samples = result.answers[i : i + 1].to(truth.device)
    if samples.shape[1] < 2:
        return {}
    found = among(samples, truth).scores()
    numbers = {key: value.item() for key, value in found.items()}  # equal samples foretell no error
    return {"samples": samples.shape[1]} | {key: v for key, v in numbers.items() if math.isfinite(v)}


def _error_path(folder: Path, unit: WorkUnit) -> Path:
    return folder / "errors" / Path(unit.path).relative_to("units").with_suffix(".json")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
