"""The benchmark's plan: units of work (method, task, image, seed), and the measurements that all methods share.

A unit is done if and only if its result file exists, whole. Seeds: the measurement of an image is a function of (seed,
name of the image, task) alone, so that it is the same for every method and every choice of images; restorations get
the seed itself. The two never draw the same numbers.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rusr_core import tasks
from rusr_core.errors import RusrError
from rusr_core.tasks import Task

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")  # names that are parts of paths


class PlanError(RusrError):
    """A plan without work, or with names that cannot be files."""


@dataclass(frozen=True)
class WorkUnit:
    """The smallest piece of work. Its result is the file `path` below the benchmark's folder."""

    method: str
    task: Task
    image: str
    seed: int

    @property
    def path(self) -> str:
        return f"units/{self.method}/{self.task.letters}-{self.task.level}/{self.image}_{self.seed}.png"


@dataclass(frozen=True)
class WorkBatch:
    """Units that are restored as one batch."""

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

    def __post_init__(self) -> None:
        for kind in ("methods", "tasks", "images", "seeds"):
            values = getattr(self, kind)
            if not values or len(set(values)) < len(values):
                raise PlanError(f"{kind}: {len(values)}, {len(set(values))} different; expected one or more, each once")
        for name in (*self.methods, *self.images):
            if not SAFE.fullmatch(name):
                raise PlanError(f"name {name!r}: expected letters, digits and _ . + - only")
        if self.batch_size < 1 or min(self.seeds) < 0:
            raise PlanError(f"batch {self.batch_size}, seeds {self.seeds}: expected a batch from 1 and seeds from 0")

    def __len__(self) -> int:
        return len(self.methods) * len(self.tasks) * len(self.images) * len(self.seeds)

    def batches(self) -> Iterator[WorkBatch]:
        """Batches of units, image by image, so that a sweep that is cut short has all methods on the same images."""
        for seed in self.seeds:
            for start in range(0, len(self.images), self.batch_size):
                for task in self.tasks:
                    for method in self.methods:
                        yield WorkBatch(method, task, seed, self.images[start : start + self.batch_size])


def parse_tasks(words: Sequence[str]) -> tuple[Task, ...]:
    """Tasks by name: "single", "composed", "all", "upsampling" (all levels), "upsampling:L", "UNA" (level M)."""
    found: list[Task] = []
    for word in words:
        name, _, level = word.partition(":")
        sets = {"single": tasks.SINGLE, "composed": tasks.COMPOSED, "all": tasks.SINGLE + tasks.COMPOSED}
        if word in sets:
            found += sets[word]
        elif level or "+" in tasks.find(name).name:
            found.append(tasks.find(name, level or "M"))
        else:
            found += [tasks.find(name, level) for level in tasks.LEVELS]
    return tuple(dict.fromkeys(found))
