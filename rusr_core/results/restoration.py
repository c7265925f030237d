"""What a restoration is: the images, how they came about, and a folder that keeps both.

folder/000.png, 001.png, ...   the images, 8 bit, for people
folder/tensors.safetensors     the images as they were computed; of a search the latents and losses of its phases
folder/record.json             method, seed, steps, preset with its values, loss terms, versions
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.files import FileExistsAlreadyError, as_path, json_object, whole_folder, write_atomic
from rusr_core.images import in_words, save_image
from rusr_core.limits import is_number, is_whole, shown
from rusr_core.presets import PresetError

FORMAT = 1
RECORD, TENSORS = "record.json", "tensors.safetensors"
FACTS = ("seconds", "steps", "seed", "method", "info", "interrupted", "oracle")  # of any result, all but its tensors
# what a record may hold, in words and as a test
VALUES = {
    "seconds": ("a number", is_number),
    "steps": ("whole numbers", lambda value: isinstance(value, list) and all(map(is_whole, value))),
    "seed": ("a whole number", is_whole),
    "method": ("a name", lambda value: isinstance(value, str)),
    "info": ("an object", lambda value: isinstance(value, dict)),
    "interrupted": ("true or false", lambda value: isinstance(value, bool)),
    "oracle": ("true or false", lambda value: isinstance(value, bool)),
    "terms": ("weights by name", lambda value: isinstance(value, dict) and all(map(is_number, value.values()))),
    "diverged": ("a list", lambda value: isinstance(value, list)),
    "phases": ("a phase or more", lambda value: isinstance(value, list | tuple) and len(value) > 0),
}


class ResultError(RusrError):
    """A folder that holds no result, a result that cannot be kept, or one whose parts do not fit together."""


@dataclass(frozen=True, eq=False)
class Restoration:
    """What every method returns. ResultError for parts that do not fit together."""

    image: Tensor  # [N, 3, R, R] in [0, 1]
    seconds: float  # for all images
    steps: list[int]  # of each image
    seed: int
    method: str  # its name, such as "default", "default@30" or "ddrm"
    info: dict = field(default_factory=dict)  # whatever else is worth keeping, as plain JSON values
    interrupted: bool = False  # by Ctrl-C: the result holds what there was
    oracle: bool = False  # the clean image was used
    drawn: Tensor | None = None  # [N, S, 3, R, R] in [0, 1], of a method that draws several from the posterior

    def __post_init__(self) -> None:
        check_size("image", self.image, None, 3, None, None)
        check_rows("steps", self.steps, len(self.image))
        for name in FACTS:
            check_value(name, getattr(self, name))
        if self.drawn is not None:
            check_size("drawn", self.drawn, len(self.image), None, *self.image.shape[1:])

    def __repr__(self) -> str:
        """One line: the numbers stay in the tensors."""
        marks = [word for word in ("interrupted", "oracle") if getattr(self, word)]
        words = [in_size(self.image), f"method={self.method!r}", f"seed={self.seed}", f"steps={self.steps}"]
        return f"{type(self).__name__}({', '.join([*words, f'{self.seconds:.1f} s', *marks])})"

    @property
    def answers(self) -> Tensor:
        """What each y was answered with, [N, k, 3, R, R] in [0, 1]: several samples, or the one image."""
        return self.image[:, None] if self.drawn is None else self.drawn

    @property
    def picture(self) -> Tensor:
        """The restoration of each y, [N, 3, R, R] in [0, 1]: `image`, or of several searches the first one's."""
        return self.image

    @property
    def mean(self) -> Tensor:
        """The mean of the answers, [N, 3, R, R] in [0, 1]: nearest to all of them, and less sharp than any."""
        return self.answers.mean(1)

    @property
    def spread(self) -> Tensor:
        """The standard deviation of several answers at each pixel, [N, 1, R, R]: the root mean square of the channels'.
        ResultError for one answer, which has none."""
        if self.answers.shape[1] < 2:
            raise ResultError("one answer to each image has no spread: expected a result with two or more")
        return self.answers.var(1).mean(1, keepdim=True).sqrt()

    def invented_beside(self, prior_spread: Tensor) -> Tensor:
        """Decided by the input, 0, or invented, 1: the share of the prior's variance that the answers keep at each
        pixel, [N, 1, R, R]. `prior_spread` [1, 1, R, R] is that of the prior's own images; a share above 1 counts as 1.

        Raises ResultError for one answer, and for what is no such map of these pictures.
        """
        spread, size = self.spread, (1, 1, *self.image.shape[-2:])
        if not isinstance(prior_spread, Tensor) or tuple(prior_spread.shape) != size:
            raise ResultError(
                f"prior_spread is {in_words(prior_spread)}: expected a spread at each pixel, {list(size)}"
            )
        return (spread / prior_spread.to(spread).clamp_min(1e-6)).square().clamp(max=1)

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Keep the result in a folder of its own, which appears complete or not at all.

        An existing folder is only replaced with `force=True`, and only if it holds a result. Raises FileError,
        FileExistsAlreadyError, and ResultError for `info` that is not plain JSON.
        """
        folder = as_path(folder)
        if os.path.exists(folder) and not (force and (folder / RECORD).is_file()):  # unlike its method, of any name
            raise FileExistsAlreadyError(f"{folder}: exists already; force=True replaces a folder that holds a result")
        try:
            record = json.dumps({"format": FORMAT, "kind": type(self).__name__} | self._record(), indent=1)
        except (TypeError, ValueError, RecursionError) as error:
            raise ResultError(f"info of the result is not plain JSON: {error}") from error
        tensors = {name: value.detach().cpu().contiguous() for name, value in _apart(self._tensors()).items()}
        with whole_folder(folder) as made:
            for i, image in enumerate(self.image.split(1)):
                save_image(image.detach().cpu().clamp(0, 1), made / f"{i:03d}.png")
            write_atomic(made / TENSORS, save_tensors(tensors))
            write_atomic(made / RECORD, record.encode())
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """The result that `save` kept: a `Restoration` or, where it was one, a `Search`. ResultError for no result."""
        folder = as_path(folder, ResultError)
        try:
            record = json_object((folder / RECORD).read_text(encoding="utf-8"))
            tensors = load_tensors((folder / TENSORS).read_bytes())
        except (OSError, ValueError, SafetensorError) as error:
            raise ResultError(f"{folder}: no result of a restoration ({error})") from error
        kinds = {kind.__name__: kind for kind in _kinds(Restoration)}
        if record.get("format") != FORMAT or str(record.get("kind")) not in kinds:
            raise ResultError(f"{folder / RECORD}: expected the record of a result, of format {FORMAT}")
        kind = kinds[str(record["kind"])]
        if not issubclass(kind, cls):
            raise ResultError(f"{folder} holds a {kind.__name__}: expected a {cls.__name__}")
        try:
            for name in filter(record.__contains__, VALUES):
                check_value(name, record[name])
            return kind(**kind._read(record, tensors))
        except PresetError as error:
            raise ResultError(f"{folder / RECORD}: {error}") from error
        except ResultError as error:
            raise ResultError(f"{folder}: {error}") from error
        except (KeyError, TypeError, AttributeError) as error:
            raise ResultError(f"{folder}: its record or its tensors lack {error}") from error

    def _record(self) -> dict[str, object]:
        """All that is no tensor, as plain JSON values."""
        return {name: getattr(self, name) for name in FACTS}

    def _tensors(self) -> dict[str, Tensor]:
        return {"image": self.image} | ({} if self.drawn is None else {"drawn": self.drawn})

    @classmethod
    def _read(cls, record: dict, tensors: dict[str, Tensor]) -> dict[str, object]:
        """The arguments that make the result again."""
        return {name: record[name] for name in FACTS} | {"image": tensors["image"], "drawn": tensors.get("drawn")}


def check_size(name: str, value: object, *size: int | None) -> None:
    """Raise ResultError unless `value` is a tensor of real numbers of this size, in which None is any length from 1."""
    fits = isinstance(value, Tensor) and value.is_floating_point() and value.dim() == len(size)
    if not fits or any(have < 1 or want not in (None, have) for have, want in zip(value.shape, size, strict=True)):
        words = ", ".join("any" if want is None else str(want) for want in size)
        raise ResultError(f"{name} of a result is {in_words(value)}: expected real numbers [{words}]")


def check_value(name: str, value: object) -> None:
    """Raise ResultError unless `value` is what `VALUES` says of `name`."""
    words, holds = VALUES[name]
    if not holds(value):
        raise ResultError(f"{name} of a result is {shown(value)}: expected {words}")


def check_rows(name: str, value: object, num: int) -> None:
    """Raise ResultError unless `value` is a list with an entry for each of `num` images."""
    if not isinstance(value, list) or len(value) != num:
        raise ResultError(f"{name} of a result is {shown(value)}: expected a list of {num}, one for each image")


def in_size(image: Tensor) -> str:
    """How many images of which size, in words."""
    num, _, height, width = image.shape
    return f"{num} image{'s' if num > 1 else ''} of {width}x{height} px"


def _apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors, none of which is a part of another's memory, as the only image of those `drawn` may be."""
    seen: set[int] = set()
    found = {}
    for name, value in tensors.items():
        place = value.untyped_storage().data_ptr()
        found[name] = value.clone() if place in seen else value
        seen.add(place)
    return found


def _kinds(kind: type[Restoration]) -> list[type[Restoration]]:
    """A kind of results and all that are kinds of it."""
    return [kind, *(each for below in kind.__subclasses__() for each in _kinds(below))]
