"""The test images of a sweep and the measurements that all methods share."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rusr_core.degradations.base import Degradation
from rusr_core.images import WRITABLE, load_image
from rusr_core.sweeps.plan import PlanError
from rusr_core.sweeps.storage import claim, digest, read_record, write_result
from rusr_core.tasks import Task


@dataclass(frozen=True)
class Measurement:
    """What a method is given, and what its result is compared with."""

    truth: Tensor  # [1, 3, R, R] in [0, 1], 8-bit values
    y: Tensor  # [1, 3, h, w] in [0, 1], 8-bit values
    noise_seed: int  # seed of the draws that made y
    strokes_seed: int  # seed of the strokes

    def generator(self) -> torch.Generator:
        """Draws what was drawn for y (the published protocol re-degrades with the same draws)."""
        return torch.Generator().manual_seed(self.noise_seed)


@dataclass(frozen=True)
class ImageFolder:
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


def measurement(folder: Path, images: ImageFolder, task: Task, image: str, seed: int, resolution: int) -> Measurement:
    """The target of an image, from its file below `folder`; made at first need, and again if the file is damaged."""
    if image not in images.paths:
        raise PlanError(f"{images.folder}: no image {image!r}")
    noise, strokes = seeds_of(image, seed)
    path, clean = folder / f"measurements/{task.letters}-{task.level}/{image}_{seed}.png", truth_path(folder, image)
    with claim(folder, str(clean), wait=True):
        if read_record(clean) is None:
            write_result(clean, load_image(images.paths[image], size=resolution, fit="crop"), {"image": image})
    truth = load_image(clean)
    with claim(folder, str(path), wait=True):
        if read_record(path) is None:
            f = degradation(task, [image], seed)
            y = f.degrade(truth, torch.Generator().manual_seed(noise))
            write_result(path, y, {"degradation": str(f), "noise_seed": noise, "strokes_seed": strokes})
    return Measurement(truth, load_image(path), noise, strokes)


def truth_path(folder: Path, image: str) -> Path:
    """The clean image, at the prior's resolution, beside the results that are compared with it."""
    return folder / "truth" / f"{image}.png"
