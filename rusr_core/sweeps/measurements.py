"""The test images of a sweep and the measurements y = f(x) that all methods share."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rusr_core.decoding import READABLE_SUFFIXES
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.foreign import Foreign
from rusr_core.errors import RusrError
from rusr_core.files import as_path
from rusr_core.images import load_image
from rusr_core.limits import check_seed
from rusr_core.sweeps.claims import claim
from rusr_core.sweeps.plan import PlanError
from rusr_core.sweeps.stamps import CheckedFiles
from rusr_core.sweeps.storage import digest, read_record, write_result
from rusr_core.tasks import Task


@dataclass(frozen=True)
class Measurement:
    """What a method is given, and what its result is compared with."""

    truth: Tensor  # [1, 3, R, R] in [0, 1], 8-bit values
    y: Tensor  # [1, 3, h, w] in [0, 1], 8-bit values
    noise_seed: int  # of the draws that made y
    strokes_seed: int

    def generator(self) -> torch.Generator:
        """Draws what was drawn for y (the published protocol re-degrades with the same draws)."""
        return torch.Generator().manual_seed(self.noise_seed)


@dataclass(frozen=True)
class ImageFolder:
    """A folder of test images; an image's name is its file's without suffix.

    Hidden files and files of other kinds are left out; folders in it are not entered.
    """

    folder: Path  # or its name

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", as_path(self.folder, PlanError))

    @cached_property
    def paths(self) -> dict[str, Path]:
        """Files by name, sorted by file name. Raises PlanError: no folder, no images, several of one name."""
        if not self.folder.is_dir():
            raise PlanError(f"{self.folder}: {'is a file' if self.folder.exists() else 'no such folder'}")
        seen = sorted(p for p in self.folder.iterdir() if not p.name.startswith("."))
        found = [p for p in seen if p.suffix.lower() in READABLE_SUFFIXES and p.is_file()]
        if not found:
            raise PlanError(f"{self.folder}: no images there ({', '.join(READABLE_SUFFIXES)})")
        names: dict[str, Path] = {}
        for path in found:
            if path.stem in names:
                raise PlanError(f"{self.folder}: {names[path.stem].name} and {path.name} would share a name")
            names[path.stem] = path
        return names

    def path(self, name: str) -> Path:
        """The file of an image. Raises PlanError."""
        if name not in self.paths:
            raise PlanError(f"{self.folder}: no image {name!r}")
        return self.paths[name]

    def left_out(self) -> list[Path]:
        """What lies in the folder and is no test image: other files, and folders; hidden ones aside."""
        used = set(self.paths.values())
        return sorted(p for p in self.folder.iterdir() if p not in used and not p.name.startswith("."))

    def hidden(self) -> int:
        """How many hidden files and folders lie there."""
        return sum(path.name.startswith(".") for path in self.folder.iterdir())

    def digests(self, names: Sequence[str], resolution: int, store: Path) -> tuple[dict[str, str], CheckedFiles]:
        """SHA-256 of the files, each of which has been decoded once at `resolution`, and their stamps to be saved.

        Files that keep the size and time of their stamps in the folder `store` are not read again. Raises PlanError
        that names all files that cannot be used.
        """
        bad: list[str] = []

        def read(path: Path) -> str | None:
            try:
                load_image(path, size=resolution, fit="crop")
                return digest(path.read_bytes())
            except (RusrError, OSError, MemoryError) as error:
                bad.append(str(error) or f"{path}: not enough memory")
                return None

        files = CheckedFiles(self.folder.absolute(), read, store=store)
        found = {name: files.note(self.path(name).name) for name in names}
        if bad:
            raise PlanError(f"{len(bad)} of {len(names)} images cannot be used: {'; '.join(bad)}")
        return found, files


def seeds_of(image: str, seed: int) -> tuple[int, int]:
    """Seeds of noise and strokes of an image: a function of (seed, name). The spawn key keeps them apart from the
    streams of `randomness.generators`, which restorations use. Raises PlanError for a seed that is none.
    """
    check_seed(seed, PlanError)
    name = int.from_bytes(hashlib.sha256(os.fsencode(image)).digest()[:4], "big")
    noise, strokes = np.random.SeedSequence([seed, name], spawn_key=(1,)).generate_state(2)
    return int(noise), int(strokes)


def degradation(task: Task, images: Sequence[str], seed: int, device: torch.device) -> Degradation:
    """The task's degradation for these images as a batch, each with its own strokes; its networks are on `device`."""
    f = task.degradation(seed=tuple(seeds_of(image, seed)[1] for image in images))
    for stage in f.stages:
        if isinstance(stage, Foreign) and isinstance(stage.f, torch.nn.Module):
            stage.f.to(device)
    return f


def degrade(f: Degradation, x: Tensor, seed: int, device: torch.device) -> Tensor:
    """y = f(x) on the CPU, with draws from `seed`: computed there, the same for every device, if f can.

    Somebody's own f may hold tensors of the card, and then gets images of the card. PlanError for a seed that is none.
    """
    check_seed(seed, PlanError)
    try:
        return f.degrade(x.cpu(), torch.Generator().manual_seed(seed))
    except (RusrError, RuntimeError):
        if device.type == "cpu" or not any(isinstance(stage, Foreign) for stage in f.stages):
            raise
        return f.degrade(x.to(device), torch.Generator().manual_seed(seed)).cpu()


def measurement(
    folder: Path, images: ImageFolder, task: Task, image: str, seed: int, resolution: int, device: torch.device
) -> Measurement:
    """The measurement of an image from its file below `folder`; made at first need, and again if it is damaged.

    Each is made alone, with its own generator: what an image gets does not depend on the others of its batch.
    """
    noise, strokes = seeds_of(image, seed)
    degraded_name = f"measurements/{task.file_name}/{image}_{seed}.png"
    clean, degraded = truth_path(folder, image), folder / degraded_name
    with claim(folder, f"truth/{image}.png", wait=True):  # names below the folder: machines mount it where they like
        if read_record(clean) is None:
            write_result(clean, load_image(images.path(image), size=resolution, fit="crop"), {"image": image})
    truth = load_image(clean)
    with claim(folder, degraded_name, wait=True):
        if read_record(degraded) is None:
            f = degradation(task, [image], seed, device)
            y = degrade(f, truth, noise, device)
            write_result(degraded, y, {"degradation": str(f), "noise_seed": noise, "strokes_seed": strokes})
    return Measurement(truth, load_image(degraded), noise, strokes)


def truth_path(folder: Path, image: str) -> Path:
    """The clean image, at the prior's resolution, beside the results that are compared with it."""
    return folder / "truth" / f"{image}.png"
