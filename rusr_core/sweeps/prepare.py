"""Before the work: everything that units need is checked, the configuration is fixed, and what is left is found."""

from pathlib import Path

import torch

from rusr_core import __version__
from rusr_core.prior import Prior
from rusr_core.sweeps.config import BenchmarkError, SweepConfig, load
from rusr_core.sweeps.measurements import ImageFolder, degradation
from rusr_core.sweeps.plan import SweepPlan, WorkBatch
from rusr_core.sweeps.provenance import code_digest, weights_digest
from rusr_core.sweeps.stamps import CheckedFiles
from rusr_core.sweeps.storage import agree, read_record

GROWS = ("methods", "tasks", "images")  # a folder may gain these; what it holds of them may not change
CODE = ("version", "code")  # what may change where the user says so


def prepare(
    config: SweepConfig, plan: SweepPlan, device: str | None = None, *, accept_code_change: bool = False
) -> None:
    """Check everything that units need, and fix the folder's configuration in `bench.json`.

    Args:
        device: where this process loads the networks, if it is not one that works (default: the sweep's).
        accept_code_change: go on with results of another version of this library; each result names its own.

    Raises a RusrError: images that cannot be used, tasks or methods that cannot run, another configuration.
    """
    prior, judge = load(config, device)
    methods = {name: config.method(name).configuration() for name in plan.methods}
    resolution = prior.generator.resolution
    digests, images = ImageFolder(config.images).digests(plan.images, resolution, config.folder)
    tasks = {str(task): _task_configuration(prior, plan, task) for task in plan.tasks}
    try:
        config.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(f"{config.folder}: cannot be made ({error.strerror or error})") from error
    wanted = {
        "format": 2,
        "version": __version__,
        "code": code_digest(),
        "torch": torch.__version__,
        "device": torch.device(config.device).type,
        "arithmetic": config.arithmetic,
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
        "tasks": tasks,
        "images": digests,
    }
    agree(config.folder, wanted, GROWS, CODE if accept_code_change else ())
    images.save()


def _task_configuration(prior: Prior, plan: SweepPlan, task: object) -> dict[str, object]:
    """What a task does, tried on a black image: a task that cannot degrade this prior's images is found here."""
    resolution = prior.generator.resolution
    f = degradation(task, plan.images[:1], plan.seeds[0])
    black = torch.zeros(1, 3, resolution, resolution)
    try:
        f.degrade(black, torch.Generator().manual_seed(0))
    except Exception as error:  # an operator of one's own may raise anything
        reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise BenchmarkError(f"task {task} cannot degrade {resolution}x{resolution} px: {reason}") from error
    return {"degradation": str(task.degradation(seed=0))}


def remaining(folder: Path, plan: SweepPlan, *, verify: bool = False) -> list[WorkBatch]:
    """The batches of a plan that are not done: a result is missing or damaged.

    Results that keep the size and time of their stamps are not opened (see `stamps`); with `verify` all are read whole.
    """
    results = CheckedFiles(folder, lambda path: read_record(path) is not None or None, verify=verify)
    left = [batch for batch in plan.batches() if not all(results.note(unit.path) for unit in batch.units)]
    results.save()
    return left
