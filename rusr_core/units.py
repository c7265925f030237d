"""The benchmark's plan: units of work (method, task, image, seed), and the targets that all methods share.

A unit is done if and only if its result file exists, whole. Seeds: the target of an image is a function of (seed, name
of the image, task) alone, so that it is the same for every method and every choice of images; restorations get the
seed itself. The two never draw the same numbers.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from . import tasks
from .degradations import Degradation
from .errors import RusrError
from .images import WRITABLE, load_image
from .storage import claim, digest, read_record, write_result
from .tasks import Task

SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")  # names that are parts of paths


class PlanError(RusrError):
    """A plan without work, or with names that cannot be files."""


@dataclass(frozen=True)
class Unit:
    """The smallest piece of work. Its result is the file `path` below the benchmark's folder."""

    method: str
    task: Task
    image: str
    seed: int

    @property
    def path(self) -> str:
        return f"units/{self.method}/{self.task.letters}-{self.task.level}/{self.image}_{self.seed}.png"


@dataclass(frozen=True)
class Group:
    """Units that are restored as one batch."""

    method: str
    task: Task
    seed: int
    images: tuple[str, ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(Unit(self.method, self.task, image, self.seed) for image in self.images)

    def __str__(self) -> str:
        last = f"...{self.images[-1]}" if len(self.images) > 1 else ""
        return f"{self.method}, {self.task}, image {self.images[0]}{last}, seed {self.seed}"


@dataclass(frozen=True)
class Plan:
    """All units: methods x tasks x images x seeds. `batch` images are restored at once."""

    methods: tuple[str, ...]
    tasks: tuple[Task, ...]
    images: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)
    batch: int = 1

    def __post_init__(self) -> None:
        for kind in ("methods", "tasks", "images", "seeds"):
            values = getattr(self, kind)
            if not values or len(set(values)) < len(values):
                raise PlanError(f"{kind}: {len(values)}, {len(set(values))} different; expected one or more, each once")
        for name in (*self.methods, *self.images):
            if not SAFE.fullmatch(name):
                raise PlanError(f"name {name!r}: expected letters, digits and _ . + - only")
        if self.batch < 1 or min(self.seeds) < 0:
            raise PlanError(f"batch {self.batch}, seeds {self.seeds}: expected a batch from 1 and seeds from 0")

    def __len__(self) -> int:
        return len(self.methods) * len(self.tasks) * len(self.images) * len(self.seeds)

    def groups(self) -> Iterator[Group]:
        """Batches of units, image by image, so that a sweep that is cut short has all methods on the same images."""
        for seed in self.seeds:
            for start in range(0, len(self.images), self.batch):
                for task in self.tasks:
                    for method in self.methods:
                        yield Group(method, task, seed, self.images[start : start + self.batch])


@dataclass(frozen=True)
class Target:
    """What a method is given, and what its result is compared with."""

    truth: Tensor  # [1, 3, R, R] in [0, 1], 8-bit values
    y: Tensor  # [1, 3, h, w] in [0, 1], 8-bit values
    noise: int  # seed of the draws that made y
    strokes: int  # seed of the strokes

    def generator(self) -> torch.Generator:
        """Draws what was drawn for y (the published protocol re-degrades with the same draws)."""
        return torch.Generator().manual_seed(self.noise)


@dataclass(frozen=True)
class Images:
    """A folder of test images; an image's name is its file's without suffix."""

    folder: Path

    @cached_property
    def paths(self) -> dict[str, Path]:
        """Files by name, sorted."""
        found = sorted(p for p in self.folder.glob("*") if p.suffix.lower() in WRITABLE) if self.folder.is_dir() else []
        if not found:
            raise PlanError(f"{self.folder}: no images there ({', '.join(WRITABLE)})")
        if len({p.stem for p in found}) < len(found):
            raise PlanError(f"{self.folder}: several images share a name")
        return {p.stem: p for p in found}

    def digests(self, names: Sequence[str]) -> dict[str, str]:
        """SHA-256 of the files."""
        return {name: digest(self.paths[name].read_bytes()) for name in names}


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


def seeds_of(image: str, seed: int) -> tuple[int, int]:
    """Seeds of noise and strokes of an image: a function of (seed, name). The spawn key keeps them apart from the
    streams of `randomness.generators`, which restorations use.
    """
    name = int.from_bytes(hashlib.sha256(image.encode()).digest()[:4], "big")
    noise, strokes = np.random.SeedSequence([seed, name], spawn_key=(1,)).generate_state(2)
    return int(noise), int(strokes)


def degradation(task: Task, images: Sequence[str], seed: int) -> Degradation:
    """The task's degradation for these images as a batch, each with its own strokes."""
    return task.degradation(seed=tuple(seeds_of(image, seed)[1] for image in images))


def target(folder: Path, images: Images, task: Task, image: str, seed: int, resolution: int) -> Target:
    """The target of an image, from its file below `folder`; made at first need, and again if the file is damaged."""
    if image not in images.paths:
        raise PlanError(f"{images.folder}: no image {image!r}")
    noise, strokes = seeds_of(image, seed)
    path, clean = folder / f"targets/{task.letters}-{task.level}/{image}_{seed}.png", truth_path(folder, image)
    with claim(folder, str(clean), wait=True):
        if read_record(clean) is None:
            write_result(clean, load_image(images.paths[image], size=resolution, fit="crop"), {"image": image})
    truth = load_image(clean)
    with claim(folder, str(path), wait=True):
        if read_record(path) is None:
            f = degradation(task, [image], seed)
            y = f.degrade(truth, torch.Generator().manual_seed(noise))
            write_result(path, y, {"degradation": str(f), "noise_seed": noise, "strokes_seed": strokes})
    return Target(truth, load_image(path), noise, strokes)


def truth_path(folder: Path, image: str) -> Path:
    """The clean image, at the prior's resolution, beside the results that are compared with it."""
    return folder / "truth" / f"{image}.png"
