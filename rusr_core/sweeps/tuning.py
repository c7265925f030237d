"""`rusr tune`: the best single setting of a method over all tasks, and the best setting of each task and level.

Every study minimises LPIPS between restoration and truth by the judging net, the mean over portraits that are none of
the test portraits: this favours the methods, which are going to be judged by that net. The study "one" looks at all
tasks; a trial's value is the geometric mean over the tasks of their means, so that each counts by its ratio and none
by its size. The study of a task begins with the published settings and with the one that was found, whose scores are
known already, so that "tuned" is never worse than "one" on these portraits; one that was found later is tried when the
study is asked for again. A trial that a test finds behind the best one on two, four and so on of the portraits and
tasks is not tried on the others, unless `race` is False. Chapter: book/one_setting.ipynb.

    FOLDER/METHOD.db         the studies (SQLite, see `trials`): every score as soon as it is known
    FOLDER/measurements/     what the methods are shown, and the truth beside it
"""

import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import torch

from rusr_core.baselines import Baseline
from rusr_core.baselines.method import BaselineError
from rusr_core.baselines.tuned import configured, published, space_of, weights_of
from rusr_core.files import data_path
from rusr_core.images import load_image, quantize
from rusr_core.limits import MAX_COUNT, check_seed, check_whole, shown
from rusr_core.metrics.scores import lpips
from rusr_core.networks.digests import weights_digest
from rusr_core.presets import Preset
from rusr_core.priors.own import origin
from rusr_core.search.stopping import RestorationError
from rusr_core.sweeps.claims import claim
from rusr_core.sweeps.config import Method, SweepConfig, load, load_for, shared_arithmetic
from rusr_core.sweeps.measurements import ImageFolder, degradation, measurement
from rusr_core.sweeps.provenance import circumstances
from rusr_core.sweeps.storage import digest
from rusr_core.sweeps.trials import SMALLEST, Trials, TuningError, database, key, names, usable
from rusr_core.sweeps.workers import executor, own_device
from rusr_core.tasks import Task

ONE = "one"  # the study of a single setting
CODE = ("version", "code")  # what may change where the user says so


@dataclass(frozen=True)
class TuningPlan:
    """What is tuned: a method on these tasks, with so many trials in each study."""

    base: Preset | Baseline
    tasks: tuple[Task, ...]  # those that the method can do
    images: tuple[str, ...]
    trials: int = 20
    seed: int = 0  # of the proposals, measurements and restorations
    batch_size: int = 1
    race: bool = True  # a trial that is behind the best one on some of the portraits is not tried on the others

    def __post_init__(self) -> None:
        if not space_of(self.base):
            raise TuningError(f"{self.base.name} has no settings that could be tuned: expected a space of them")
        if not self.tasks or not self.images:
            found = f"{len(self.tasks)} tasks, {len(self.images)} images"
            raise TuningError(f"{self.base.name}: {found}; expected one or more of each")
        for name in ("trials", "batch_size"):
            check_whole(name, getattr(self, name), 1, MAX_COUNT, TuningError)
        check_seed(self.seed, TuningError)
        if not isinstance(self.race, bool):
            raise TuningError(f"race is {shown(self.race)}: expected True or False")


@dataclass(frozen=True)
class Evaluation:
    """The smallest piece of work: some settings of a method on a task, for images that are restored at once."""

    method: Method  # with the settings
    settings: dict
    task: Task
    images: tuple[str, ...]
    seed: int

    @property
    def names(self) -> tuple[str, ...]:
        """What the scores of the images are called in a study."""
        return tuple(f"{self.task} / {image}" for image in self.images)


def evaluate(config: SweepConfig, item: Evaluation) -> dict[str, list]:
    """By name [LPIPS, seconds] of each image; LPIPS is infinite where the method gives none and says why, third."""
    device = own_device()
    prior, judge = load(config, device)
    restoring = load_for(config, item.method, device)
    where = (item.seed, prior.resolution, prior.device)
    shown = [measurement(config.folder, ImageFolder(config.images), item.task, name, *where) for name in item.images]
    y, truth = (torch.cat([getattr(one, name) for one in shown]) for name in ("y", "truth"))
    f = degradation(item.task, item.images, item.seed, prior.device)
    begun = time.perf_counter()
    with shared_arithmetic(config.arithmetic):
        try:
            result = item.method.restore(restoring, y, f, truth, item.seed)
        except (BaselineError, RestorationError) as error:
            seconds = (time.perf_counter() - begun) / len(y)
            return {name: [math.inf, seconds, str(error)[:200]] for name in item.names}
        if result.interrupted:
            raise KeyboardInterrupt
        seconds = (time.perf_counter() - begun) / len(y)
        image = quantize(torch.where(result.image.isfinite(), result.image, 0).to(truth).clamp(0, 1))
        found = lpips(image, truth, judge.perceptual).tolist()
    return {name: [score, round(seconds, 4)] for name, score in zip(item.names, found, strict=True)}


def tune(
    config: SweepConfig,
    plan: TuningPlan,
    *,
    one: bool = True,
    each: bool = True,
    workers: int = 1,
    threads: int | None = None,
    accept_code_change: bool = False,
    callback: Callable[[int, int], None] | None = None,
) -> dict[str, Trials]:
    """Do what is left of the studies; -> the finished ones by name: "one", and the tasks' words.

    Args:
        one: the single setting for all tasks.
        each: a setting for each task, which begins with the single one if that was found.
        workers, threads: processes and threads of each, as in `workers.run`.
        accept_code_change: go on with trials of another version of this library, which the study then notes.
        callback: called with (trials done, trials planned) at the start and after each evaluation.

    Raises TuningError for a configuration that is not that of the trials that are there, for test portraits, for a
    database that cannot be used, and if a worker process dies.
    """
    config.folder.mkdir(parents=True, exist_ok=True)
    kept = f"{plan.base.name}.db"
    with claim(config.folder, kept) as ours, usable(config.folder / kept):
        if not ours:
            raise TuningError(f"{config.folder}: another process tunes {plan.base.name} there")
        runs = _Runs(config, plan, CODE if accept_code_change else ())
        every = {word(task): (task,) for task in plan.tasks}
        try:
            with executor(workers, threads, None, config.device) as (pool, width, _):
                runs.begin({ONE: plan.tasks}, new=one)
                if one:
                    runs.work([ONE], pool, width, callback)
                runs.begin(every, new=each)
                if each:
                    runs.work(list(every), pool, width, callback)
        except BrokenProcessPool as error:  # also where the next evaluation is handed out
            raise TuningError("a worker process died (out of memory?): the same command goes on") from error
        runs.begin({name: () for name in names(runs.storage) if name not in runs.studies}, new=False)
    return {name: study for name, study in runs.studies.items() if study.finished()}


def word(task: Task) -> str:
    """A task as `tasks.find` reads it: "upsampling:L", or a notation."""
    return f"{task.name}:{task.level}" if task.level else task.name


class _Runs:
    """The studies of one method, at work."""

    def __init__(self, config: SweepConfig, plan: TuningPlan, accepted: tuple[str, ...]):
        self.config, self.plan, self.accepted = config, plan, accepted
        self.studies: dict[str, Trials] = {}
        self.tasks: dict[str, tuple[Task, ...]] = {}
        self.known: dict[tuple[str, str], list] = {}  # every score, by (settings, name)
        self.done: dict[str, int] = {}  # finished trials of each study
        self.configuration = configuration(config, plan)
        self.storage = database(config.folder / f"{plan.base.name}.db")

    def begin(self, studies: dict[str, tuple[Task, ...]], *, new: bool) -> None:
        """Open studies, each of some tasks; unless `new` those only that are there, with the tasks that they have."""
        first = [published(self.plan.base)]
        if ONE in self.studies and (best := self.studies[ONE].best()) is not None:
            first += [best[0]] if key(best[0]) != key(first[0]) else []
        there = names(self.storage)
        for name, of_study in studies.items():
            if not new and name not in there:
                continue
            found = Trials(self.storage, name, space_of(self.plan.base), first, self.plan.seed)
            if not new and not found.configuration():
                continue
            known = [word(task) for task in of_study] if new else found.configuration()["tasks"]
            found.agree(self.configuration | {"tasks": known}, self.accepted)
            self.studies[name], self.tasks[name], self.done[name] = found, of_study, len(found.finished())
            self.known |= found.scores()

    def work(self, chosen: list[str], pool: Executor, width: int, callback: Callable[[int, int], None] | None) -> None:
        """The chosen studies side by side, each one trial after the other."""
        callback = callback or (lambda done, planned: None)
        queue: list[tuple[str, Evaluation]] = []
        flying: dict[Future, tuple[str, Evaluation]] = {}
        callback(*self._progress(chosen))
        for name in chosen:
            queue += self._left(name)
        while queue or flying:
            while queue and len(flying) < width:
                name, item = queue.pop(0)
                flying[pool.submit(evaluate, self.config, item)] = name, item
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                name, item = flying.pop(future)
                scores = future.result()
                self.studies[name].note(scores)
                self.known |= {(key(item.settings), one): score for one, score in scores.items()}
                if all(name != waits for waits, _ in [*flying.values(), *queue]):
                    queue += self._left(name)
                callback(*self._progress(chosen))

    def _progress(self, chosen: list[str]) -> tuple[int, int]:
        return sum(min(self.done[name], self.plan.trials) for name in chosen), self.plan.trials * len(chosen)

    def _left(self, name: str) -> list[tuple[str, Evaluation]]:
        """What is to be evaluated for the trial under way of a study, or for the next; none if it is finished.

        It is not before all of its first settings were tried: the single setting may have been found later.
        """
        study = self.studies[name]
        while self.done[name] < self.plan.trials or study.untried():
            settings, scores = study.current()
            value = None
            items = list(self._evaluations(name, settings))
            for seen in (looks := study.looks(settings, items) if self.plan.race else [items]):
                wanted = [one for item in seen for one in item.names]
                told = {one: self.known[key(settings), one] for one in wanted if (key(settings), one) in self.known}
                study.note({one: score for one, score in told.items() if one not in scores})
                if left := [(name, item) for item in seen if not told.keys() >= set(item.names)]:
                    return left
                scores |= told
                value = study.behind(told) if seen is not looks[-1] else None
                if value is not None:
                    break
            study.tell(self._value(name, scores) if value is None else value)
            self.done[name] += 1
        return []

    def _evaluations(self, name: str, settings: dict) -> Iterator[Evaluation]:
        method = Method(self.plan.base.name, configured(self.plan.base, self.plan.base.name, settings))
        images, size = self.plan.images, self.plan.batch_size
        for task in self.tasks[name]:
            for start in range(0, len(images), size):
                yield Evaluation(method, settings, task, images[start : start + size], self.plan.seed)

    def _value(self, name: str, scores: dict[str, list]) -> float:
        """The geometric mean over tasks of the mean LPIPS over portraits."""
        means = [mean_of(scores, task, self.plan.images) for task in self.tasks[name]]
        return math.exp(sum(math.log(max(mean, SMALLEST)) for mean in means) / len(means))


def mean_of(scores: dict[str, list], task: Task, images: tuple[str, ...]) -> float:
    """The mean LPIPS of a task over portraits."""
    return sum(scores[f"{task} / {image}"][0] for image in images) / len(images)


def configuration(config: SweepConfig, plan: TuningPlan) -> dict[str, object]:
    """What must not change while trials are collected. TuningError if a portrait is one of the test portraits."""
    prior, judge = load(config)
    method = Method(plan.base.name, configured(plan.base, plan.base.name, {}))
    restoring = load_for(config, method)
    digests, images = ImageFolder(config.images).digests(plan.images, prior.resolution, config.folder)
    _check_disjoint(config.images, plan.images)
    images.save()
    return {
        **circumstances(config.device, config.arithmetic, plan.batch_size),
        "prior": prior.name,
        "weights": weights_of(restoring) | {"judge": weights_digest(judge.perceptual)},
        "portraits": digests,
        "space": {name: str(values) for name, values in space_of(plan.base).items()},
        "seed": plan.seed,
        "race": plan.race,
        **origin(config.prior),
        **(plan.base.origin() if isinstance(plan.base, Baseline) else {}),
    }


def _check_disjoint(folder: Path, names: tuple[str, ...]) -> None:
    """Raise TuningError if an image shows the pixels of a shipped test portrait, whatever its file is like."""
    tested = {_pixels(path): path.name for path in sorted(data_path("portraits/test").glob("*.png"))}
    for name in names:
        path = ImageFolder(folder).path(name)
        if (found := tested.get(_pixels(path))) is not None:
            raise TuningError(f"{path} is the test portrait {found}: expected portraits that nothing is tested on")


def _pixels(path: Path) -> str:
    image = load_image(path)
    return digest(str(tuple(image.shape)).encode(), image.numpy().tobytes())
