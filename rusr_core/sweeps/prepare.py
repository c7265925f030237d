"""Before the work: everything that units need is checked, the configuration is fixed, and what is left is found."""

import inspect
from pathlib import Path
from types import FunctionType

import torch

from rusr_core.baselines.tuned import Tuned, weights_of
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.foreign import Foreign, probe_image
from rusr_core.degradations.inpainting import Mask
from rusr_core.degradations.notation import NAMES, split
from rusr_core.degradations.operator import shape_after
from rusr_core.networks.digests import weights_digest
from rusr_core.own_code import source_digest
from rusr_core.prior import DiffusionPrior, Prior, prior_shape
from rusr_core.priors.own import origin
from rusr_core.sweeps.config import BenchmarkError, SweepConfig, load, load_for
from rusr_core.sweeps.measurements import ImageFolder, degradation, degrade
from rusr_core.sweeps.plan import SweepPlan, WorkBatch
from rusr_core.sweeps.provenance import circumstances
from rusr_core.sweeps.stamps import CheckedFiles
from rusr_core.sweeps.storage import FORMAT, agree, digest, note_not_applicable, read_record
from rusr_core.tasks import Task

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
    methods = {name: _method_configuration(config, name, device) for name in plan.methods}
    resolution = prior.generator.resolution
    digests, images = ImageFolder(config.images).digests(plan.images, resolution, config.folder)
    _check_portraits(config, plan, digests)
    tasks = {str(task): _task_configuration(prior, plan, task) for task in plan.tasks}
    try:
        config.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchmarkError(f"{config.folder}: cannot be made ({error.strerror or error})") from error
    wanted = {
        "format": FORMAT,
        **circumstances(config.device, config.arithmetic, plan.batch_size),
        "prior": {
            "name": prior.name,
            "generator": weights_digest(prior.generator),
            "perceptual": weights_digest(prior.perceptual),
            "identity": weights_digest(prior.identity),
            "lr_scale": prior.lr_scale,
        },
        **origin(config.prior),
        "judge": {"suffix": judge.suffix, "perceptual": weights_digest(judge.perceptual)},
        "methods": methods,
        "tasks": tasks,
        "images": digests,
    }
    agree(config.folder, wanted, GROWS, CODE if accept_code_change else ())
    note_not_applicable(config.folder, plan.not_applicable)
    images.save()


def _method_configuration(config: SweepConfig, name: str, device: str | None) -> object:
    """What must not change of a method while results are collected. Raises for tuned settings of other weights."""
    method = config.method(name)
    restoring = load_for(config, method, device)
    if isinstance(method.how, Tuned):
        method.how.check(restoring)
    found = method.configuration()
    return found | weights_of(restoring) if isinstance(restoring, DiffusionPrior) else found


def _check_portraits(config: SweepConfig, plan: SweepPlan, digests: dict[str, str]) -> None:
    """Raise BenchmarkError if a method was tuned on images that it is going to be tested on."""
    for name in plan.methods:
        how = config.method(name).how
        tuned_on = set(how.portraits.values()) if isinstance(how, Tuned) else set()
        if both := [image for image, digest_ in digests.items() if digest_ in tuned_on]:
            found = f"{len(both)} of these images, as {both[0]}"
            raise BenchmarkError(f"{name} was tuned on {found}: expected others than those of {how.source}")


def _task_configuration(prior: Prior, plan: SweepPlan, task: Task) -> dict[str, object]:
    """What a task does, and the source and weights of what is one's own in it.

    It is tried on one image of noise, so that a task that cannot degrade this prior's images is found here.
    """
    f = degradation(task, plan.images[:1], plan.seeds[0], prior.device)
    like = probe_image(torch.empty(prior_shape(prior, 1)))
    try:
        y = degrade(f, like, 0, prior.device)
        after = shape_after(f, like.to(prior.device))
    except Exception as error:  # an operator of one's own may raise anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        side = prior.generator.resolution
        raise BenchmarkError(f"task {task} cannot degrade images of {side}x{side} px: {reason}") from error
    if tuple(y.shape) != tuple(after):
        raise BenchmarkError(f"task {task}: degrade gives {list(y.shape)}, forward {list(after)}; expected the same")
    return {"degradation": str(task.degradation(seed=0))} | _own_parts(task, f)


def _own_parts(task: Task, f: Degradation) -> dict[str, object]:
    """Digests of what a task's notation does not show: sources and weights of operators that are none of this
    library's, and the masks that were read from files or handed over.
    """
    words = [] if task.level or task.held is not None else split(task.name, "|")
    named = [word.partition(":")[0].strip() for word in words if ":" in word]
    objects = [stage.f if isinstance(stage, Foreign) else stage for stage in f.stages]
    makers = [one if isinstance(one, FunctionType) else type(one) for one in objects]
    modules = {*named, *(maker.__module__ for maker in makers)}
    modules = {name for name in modules if name.partition(".")[0] not in ("rusr_core", "__main__", *NAMES)}
    found = {name: source_digest(name) for name in sorted(modules)}
    found |= {maker.__qualname__: _text_of(maker) for maker in makers if maker.__module__ == "__main__"}  # a notebook's
    weights = [weights_digest(one) for one in objects if isinstance(one, torch.nn.Module)]
    masks = [digest(one.visible.numpy().tobytes()) for one in objects if isinstance(one, Mask)]
    return {key: parts for key, parts in (("sources", found), ("weights", weights), ("masks", masks)) if parts}


def _text_of(thing: type | FunctionType) -> str | None:
    """SHA-256 of the source of what was typed into a notebook, where it is known."""
    try:
        return digest(inspect.getsource(thing).encode())
    except (OSError, TypeError):
        return None


def remaining(folder: Path, plan: SweepPlan, *, verify: bool = False) -> list[WorkBatch]:
    """The batches of a plan that are not done: a result is missing or damaged.

    Results that keep the size and time of their stamps are not opened (see `stamps`); with `verify` all are read whole.
    """
    results = CheckedFiles(folder, lambda path: read_record(path) is not None or None, verify=verify)
    left = [batch for batch in plan.batches() if not all(results.note(unit.path) for unit in batch.units)]
    results.save()
    return left
