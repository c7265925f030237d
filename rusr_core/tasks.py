"""The benchmark's tasks: four degradations at five levels, and their compositions; deblurring as an extra.

Poirier-Ginter & Lalonde, "Robust Unsupervised StyleGAN Image Restoration", CVPR 2023,
https://arxiv.org/abs/2302.06733; values as in the published code (robust-unsupervised afa53685).

What a level means at another image size: upsampling factors are ratios of the image side and brushes are fractions of
it, so a level takes away the same share of the image at every size. Photons, probabilities and JPEG qualities belong to
single pixels or blocks and do not scale. To the loss, a level is not the same: its pyramid ends at 16 px, and so the
input of upsampling M has none of its LPIPS levels where the image has 128 px, and three where it has 1024 px.
"""

import hashlib
import re
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.blur import Blur
from rusr_core.degradations.checks import check_compat
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.inpainting import Strokes
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.noise import PoissonBernoulliNoise
from rusr_core.degradations.notation import NAMES, parse, split
from rusr_core.degradations.operator import AnyOperator, as_operator
from rusr_core.degradations.resampling import Downsample
from rusr_core.errors import RusrError
from rusr_core.limits import shown

LEVELS = ("XS", "S", "M", "L", "XL")

# One row per level XS ... XL; the letters' order U, N, A, P is the order in which compositions apply.
TASKS = {
    "upsampling": (2, 4, 8, 16, 32),  # factor of the side
    "denoising": ((96, 0.04), (48, 0.08), (24, 0.16), (12, 0.32), (6, 0.64)),  # photons, P(dead pixel)
    "deartifacting": (18, 15, 12, 9, 6),  # JPEG quality
    "inpainting": (1, 5, 9, 13, 17),  # strokes
}
# Beyond the paper: the field's fifth single task. No composition holds it, and no table of the paper's results.
# Standard deviations of a Gaussian in px: about those of the blocks of upsampling at the same level, factor / 12**0.5.
BEYOND = {"deblurring": (0.5, 1.0, 2.0, 4.0, 8.0)}
EVERY = TASKS | BEYOND
LETTERS = {"upsampling": "U", "denoising": "N", "deartifacting": "A", "inpainting": "P", "deblurring": "B"}
ALIASES = {
    "super-resolution": "upsampling",
    "superresolution": "upsampling",
    "sr": "upsampling",
    "noise": "denoising",
    "jpeg": "deartifacting",
    "compression": "deartifacting",
    "strokes": "inpainting",
    "blur": "deblurring",
}


class TaskError(RusrError):
    """A task or level that does not exist."""


@dataclass(frozen=True)
class Task:
    """What a benchmark asks for: a row of the table, or any degradation of one's own.

    Of the table, `name` is "upsampling" or, composed, "upsampling+denoising", `letters` "U" or "UN" and `level` one of
    `LEVELS`. Of one's own, `name` is the notation and the others are empty. A degradation that has no notation is
    held as an object, see `own`.
    """

    name: str
    letters: str = ""
    level: str = ""
    held: Degradation | None = None

    def degradation(self, *, seed: int | tuple[int, ...] = 0, compat: str | None = None) -> Degradation:
        """Its degradation. `seed` fixes the strokes that have no seed of their own, a tuple gives each image of a batch
        its own, see `Strokes`. Raises `TaskError` for `compat` of one's own degradation, whose stages say it, and
        `DegradationError` for one that does not exist."""
        check_compat(compat)
        if not self.level and compat is not None:
            stage = f"jpeg:12,compat={compat}"
            raise TaskError(f"task {self.name!r} is none of the table; expected compat in its stages, as {stage}")
        if self.held is not None:
            return self.held
        if not self.level:
            return parse(self.name, seed=seed)
        stages = [_stage(name, LEVELS.index(self.level), seed, compat) for name in self.name.split("+")]
        return stages[0] if len(stages) == 1 else Compose(*stages)

    @property
    def file_name(self) -> str:
        """A name for its files and folders: "UN-M"; of one's own, what is safe of its name, and the name's digest."""
        if self.level:
            return f"{self.letters}-{self.level}"
        safe = re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-.")[:40]
        return f"{safe}-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}".strip("-")

    def __str__(self) -> str:
        return f"{self.name} {self.level}".strip()


def own(f: AnyOperator, name: str | None = None) -> Task:
    """A task of any degradation, see `operator.as_operator`. Tables show `name`, which is by default the notation.

    Raises `TaskError` if the degradation has no notation and no name is given, and for a name that is no word.
    """
    f = as_operator(f)
    if name is None and not _has_notation(f):
        raise TaskError(f"{f} has no notation; expected a name, as tasks.own(f, name='grey')")
    if name is not None and (not isinstance(name, str) or not name.strip()):
        raise TaskError(f"a task is called {shown(name)}: expected a word")
    return Task(name or str(f), held=f)


def get(
    task: str, level: str | None = None, *, seed: int | tuple[int, ...] = 0, compat: str | None = None
) -> Degradation:
    """The degradation of a task, see `find`. Published compositions are all at level M, the default."""
    return find(task, level).degradation(seed=seed, compat=compat)


def find(task: str, level: str | None = None) -> Task:
    """The `Task` of a name: "upsampling", "U", "UNAP" or "denoising+inpainting", at level M unless `level` or the name
    ("upsampling:L") says another; or one's own, in the notation of `degradations.parse`: "downsample:3 | jpeg:30".

    Raises `TaskError` with the names that exist, `DegradationError` for a wrong notation.
    """
    if not isinstance(task, str | Task):
        raise TaskError(f"task {shown(task)}: expected a word; tasks.own makes a task of an object")
    words = str(task).strip()
    head, colon, tail = (part.strip() for part in words.rpartition(":"))
    if colon and level is None and tail.upper() in LEVELS:
        words, level, colon = head, tail, ""
    if ("|" in words or ":" in words or words == "identity") and not is_row(head):
        if level is not None:
            raise TaskError(f"task {words!r} is a degradation of one's own; expected no level, got {level!r}")
        parse(words)
        return Task(" | ".join(part.strip() for part in split(words, "|")))
    if colon:
        words, level = head, tail
    level = "M" if level is None else level
    if str(level).upper() not in LEVELS:
        raise TaskError(f"unknown level {level!r}; expected one of {', '.join(LEVELS)}")
    names = _names(words)
    if len(set(names)) != len(names):
        raise TaskError(f"task {task!r} names a degradation twice")
    if len(names) > 1 and not set(names) <= set(TASKS):
        raise TaskError(f"task {task!r}: only U, N, A, P compose; expected a notation, as blur:2 | downsample:8")
    order = [name for name in EVERY if name in names]
    if order != names:
        right = "".join(LETTERS[name] for name in order)
        raise TaskError(f"task {task!r}: compositions apply in the order U, N, A, P; did you mean {right!r}?")
    return Task("+".join(names), "".join(LETTERS[name] for name in names), str(level).upper())


def is_row(words: str) -> bool:
    """Whether `words` name a row of the table and no stage of the notation."""
    if words.lower() in NAMES:
        return False
    try:
        return bool(_names(words))
    except TaskError:
        return False


def _has_notation(f: Degradation) -> bool:
    try:
        return str(parse(str(f))) == str(f)
    except RusrError:
        return False


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
        if name not in EVERY:
            close = get_close_matches(word, [*EVERY, *ALIASES], 1)
            hint = f"; did you mean {ALIASES.get(close[0], close[0])!r}?" if close else ""
            compositions = "compositions as UN or upsampling+denoising, or a notation as downsample:8 | jpeg:12"
            raise TaskError(f"unknown task {task!r}; expected one of {', '.join(EVERY)}, {compositions}{hint}")
        names.append(name)
    return names


def _stage(name: str, row: int, seed: int | tuple[int, ...], compat: str | None) -> Degradation:
    value = EVERY[name][row]
    if name == "upsampling":
        return Downsample(value, filter="random", compat=compat)
    if name == "denoising":
        return PoissonBernoulliNoise(*value, compat=compat)
    if name == "deartifacting":
        return JPEG(value, compat=compat)
    if name == "deblurring":  # unpublished: every `compat` gives the same
        return Blur(value)
    return Strokes(value, seed=seed, compat=compat)


SINGLE = tuple(find(name, level) for name in TASKS for level in LEVELS)  # 20
EXTRA = tuple(find(name, level) for name in BEYOND for level in LEVELS)  # beside the paper's tables
COMPOSED = tuple(find("".join(letters)) for size in (2, 3, 4) for letters in combinations("UNAP", size))  # 11, M
