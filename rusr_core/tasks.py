"""The benchmark's tasks: four degradations at five levels, and their compositions.

Poirier-Ginter & Lalonde, "Robust Unsupervised StyleGAN Image Restoration", CVPR 2023,
https://arxiv.org/abs/2302.06733, section 4; values as in the published code (robust-unsupervised afa53685).
Up-sampling factors are ratios of the image side and brushes are fractions of it, so that a level means the
same at every image size; photons, probabilities and JPEG qualities belong to single pixels or blocks and do
not scale.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.inpainting import Strokes
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.noise import PoissonBernoulliNoise
from rusr_core.degradations.resampling import Downsample
from rusr_core.errors import RusrError

LEVELS = ("XS", "S", "M", "L", "XL")

# One row per level XS ... XL; the letters' order U, N, A, P is the order in which compositions apply.
TASKS = {
    "upsampling": (2, 4, 8, 16, 32),  # factor of the side
    "denoising": ((96, 0.04), (48, 0.08), (24, 0.16), (12, 0.32), (6, 0.64)),  # photons, P(dead pixel)
    "deartifacting": (18, 15, 12, 9, 6),  # JPEG quality
    "inpainting": (1, 5, 9, 13, 17),  # strokes
}
LETTERS = {"upsampling": "U", "denoising": "N", "deartifacting": "A", "inpainting": "P"}
ALIASES = {
    "super-resolution": "upsampling",
    "superresolution": "upsampling",
    "sr": "upsampling",
    "noise": "denoising",
    "jpeg": "deartifacting",
    "compression": "deartifacting",
    "strokes": "inpainting",
}


class TaskError(RusrError):
    """A task or level that does not exist."""


@dataclass(frozen=True)
class Task:
    """One row of the benchmark. `name` is "upsampling" or, composed, "upsampling+denoising"; `letters` "U",
    "UN"."""

    name: str
    letters: str
    level: str

    def degradation(self, *, seed: int | tuple[int, ...] = 0, compat: str | None = None) -> Degradation:
        """Its degradation. `seed` fixes the strokes, a tuple gives each image of a batch its own, see
        `Strokes`."""
        stages = [_stage(name, LEVELS.index(self.level), seed, compat) for name in self.name.split("+")]
        return stages[0] if len(stages) == 1 else Compose(*stages)

    def __str__(self) -> str:
        return f"{self.name} {self.level}"


def get(task: str, level: str = "M", *, seed: int | tuple[int, ...] = 0, compat: str | None = None) -> Degradation:
    """The degradation of a task by name, letters or both joined by +: "upsampling", "U", "UNAP",
    "denoising+inpainting".

    Raises `TaskError` with the names that exist. Published compositions are all at level M.
    """
    return find(task, level).degradation(seed=seed, compat=compat)


def find(task: str, level: str = "M") -> Task:
    """The `Task` by name, alias or letters, see `get`. Raises `TaskError`."""
    if str(level).upper() not in LEVELS:
        raise TaskError(f"unknown level {level!r}; expected one of {', '.join(LEVELS)}")
    names = _names(task)
    order = [name for name in TASKS if name in names]
    if len(set(names)) != len(names):
        raise TaskError(f"task {task!r} names a degradation twice")
    if order != names:
        right = "".join(LETTERS[name] for name in order)
        raise TaskError(f"task {task!r}: compositions apply in the order U, N, A, P; did you mean {right!r}?")
    return Task("+".join(names), "".join(LETTERS[name] for name in names), str(level).upper())


def _names(task: str) -> list[str]:
    """The single tasks that `task` is made of."""
    words = str(task).strip()
    by_letter = {letter: name for name, letter in LETTERS.items()}
    if words and all(letter in by_letter for letter in words.upper()):
        return [by_letter[letter] for letter in words.upper()]
    names = []
    for word in words.lower().split("+"):
        word = word.strip()
        name = ALIASES.get(word, by_letter.get(word.upper(), word))
        if name not in TASKS:
            close = get_close_matches(word, [*TASKS, *ALIASES], 1)
            hint = f"; did you mean {ALIASES.get(close[0], close[0])!r}?" if close else ""
            compositions = "compositions as UN or upsampling+denoising"
            raise TaskError(f"unknown task {task!r}; expected one of {', '.join(TASKS)}, {compositions}{hint}")
        names.append(name)
    return names


def _stage(name: str, row: int, seed: int | tuple[int, ...], compat: str | None) -> Degradation:
    value = TASKS[name][row]
    if name == "upsampling":
        return Downsample(value, filter="random", compat=compat)
    if name == "denoising":
        return PoissonBernoulliNoise(*value, compat=compat)
    if name == "deartifacting":
        return JPEG(value, compat=compat)
    return Strokes(value, seed=seed, compat=compat)


SINGLE = tuple(find(name, level) for name in TASKS for level in LEVELS)  # 20
COMPOSED = tuple(find("".join(letters)) for size in (2, 3, 4) for letters in combinations("UNAP", size))  # 11, M
