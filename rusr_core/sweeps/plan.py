"""A sweep's plan: units of work, each a method on a task, an image and a seed.

A unit is done if and only if its result file exists, whole. Seeds: the measurement of an image is a function of (seed,
name of the image, task) alone, so that it is the same for every method and every choice of images; restorations get
the seed itself. The two never draw the same numbers.
"""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rusr_core import tasks
from rusr_core.errors import RusrError
from rusr_core.limits import MAX_COUNT, check_seed, check_whole, shown
from rusr_core.tasks import Task

METHOD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+@-]*")  # parts of paths
LONGEST_NAME = 200  # bytes of an image's or a method's name: with seed and suffix it has to fit into 255


class PlanError(RusrError):
    """A plan without work, or with names that cannot be files."""


@dataclass(frozen=True)
class WorkUnit:
    """The smallest piece of work. Its result is the file `path` below the sweep's folder."""

    method: str
    task: Task
    image: str
    seed: int

    @property
    def path(self) -> str:
        return f"units/{self.method}/{self.task.file_name}/{self.image}_{self.seed}.png"


@dataclass(frozen=True)
class WorkBatch:
    """Units of one method, task and seed that are restored at once."""

    method: str
    task: Task
    seed: int
    images: tuple[str, ...]

    @property
    def units(self) -> tuple[WorkUnit, ...]:
        return tuple(WorkUnit(self.method, self.task, image, self.seed) for image in self.images)

    def __str__(self) -> str:
        last = f"...{self.images[-1]}" if len(self.images) > 1 else ""
        return f"{self.method}, {self.task}, image {self.images[0]}{last}, seed {self.seed}"


@dataclass(frozen=True)
class SweepPlan:
    """All units: methods x tasks x images x seeds. `batch_size` images are restored at once."""

    methods: tuple[str, ...]
    tasks: tuple[Task, ...]
    images: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    batch_size: int = 1
    not_applicable: Mapping[tuple[str, str], str] = field(default_factory=dict)  # (method, task): why it is "n/a"

    def __post_init__(self) -> None:
        for kind in ("methods", "tasks", "images", "seeds"):
            values = getattr(self, kind)
            if isinstance(values, str) or not isinstance(values, Sequence):  # of a word, each letter would be one
                raise PlanError(f"{kind} is {shown(values)}: expected a tuple of them")
            for seed in values if kind == "seeds" else ():
                check_seed(seed, PlanError)
            if not values or len(set(values)) < len(values):
                raise PlanError(f"{kind}: {len(values)}, {len(set(values))} different; expected one or more, each once")
        words = [str(task) for task in self.tasks]
        if len(set(words)) < len(words) or len({task.file_name for task in self.tasks}) < len(words):
            raise PlanError(f"tasks {', '.join(words)}: two of them share a name")
        for name in self.methods:
            check_method_name(name)
        for name in self.images:
            _check_image_name(name)
        check_whole("batch_size", self.batch_size, 1, MAX_COUNT, PlanError)

    def __len__(self) -> int:
        pairs = len(self.methods) * len(self.tasks) - len(self.not_applicable)
        return pairs * len(self.images) * len(self.seeds)

    def batches(self) -> Iterator[WorkBatch]:
        """Batches of units, image by image, so that a sweep that is cut short has all methods on the same images."""
        for seed in self.seeds:
            for start in range(0, len(self.images), self.batch_size):
                for task in self.tasks:
                    for method in self.methods:
                        if (method, str(task)) in self.not_applicable:
                            continue
                        yield WorkBatch(method, task, seed, self.images[start : start + self.batch_size])


def check_method_name(name: str) -> None:
    """PlanError for what could be no folder's name, or none that is the same on all systems."""
    if not METHOD_NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise PlanError(f"method name {name!r}: expected letters, digits and _ . + @ - only")


def _check_image_name(name: str) -> None:
    """An image is called as its file; names are refused that no result file could have, or that cannot be printed."""
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise PlanError(f"image name {name!r} is not UTF-8: rename the file") from None
    if not name or name.startswith(".") or "/" in name or not name.isprintable():
        raise PlanError(f"image name {name!r}: expected the name of a file")
    if length > LONGEST_NAME:
        raise PlanError(f"image name {name!r} has {length} bytes, expected {LONGEST_NAME} at most")


def parse_tasks(words: Sequence[str]) -> tuple[Task, ...]:
    """Tasks by name: "single", "composed", "all", "extra" (deblurring), "upsampling" (all levels), "upsampling:L",
    "UNA" (level M), also several with commas between them; or a degradation in notation, "downsample:3 | jpeg:30", and
    "module:name", see `tasks.find`.

    Raises `PlanError` for one word in place of several, and what `tasks.find` raises.
    """
    if isinstance(words, str):  # each letter would be a task
        raise PlanError(f"tasks are {shown(words)}: expected a list of them")
    single, composed = tasks.SINGLE, tasks.COMPOSED
    sets = {"single": single, "composed": composed, "all": single + composed, "extra": tasks.EXTRA}
    found: list[Task] = []
    for word in itertools.chain.from_iterable(_parts(word, sets) for word in words):
        if word in sets:
            found += sets[word]
            continue
        task = tasks.find(word)
        every_level = task.level and ":" not in word and "+" not in task.name
        found += [tasks.find(task.name, level) for level in tasks.LEVELS] if every_level else [task]
    return tuple(dict.fromkeys(found))


def _parts(word: object, sets: Mapping[str, object]) -> list[object]:
    """The parts of a word that begins with a name, "U:M,UNA"; any other, whose commas separate arguments, as it is."""
    first, *others = (part.strip() for part in word.split(",")) if isinstance(word, str) else [word]
    named = others and (first in sets or tasks.is_row(first.partition(":")[0].strip()))
    return [part for part in (first, *others) if part] if named else [word]
