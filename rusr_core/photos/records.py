"""The record beside a restored picture: what it was made of, how, and how well it explains its input."""

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL
import torch
from torch import Tensor

import rusr_core
from rusr_core import tasks
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.free import free_stages
from rusr_core.degradations.inpainting import Strokes
from rusr_core.degradations.operator import as_operator
from rusr_core.errors import RusrError
from rusr_core.files import as_path, json_object, with_ending
from rusr_core.images import read_metadata
from rusr_core.limits import check_seed
from rusr_core.losses.guess import visible
from rusr_core.metrics.scores import fidelity
from rusr_core.photos.marks import SOURCE_TYPE
from rusr_core.prior import Prior
from rusr_core.search.preparation import mask_for
from rusr_core.sweeps import recordings

FORMAT = 1
SAME = ("program", "input", "degradation", "prior", "method", "seed", "answers", "faces", "enlarged", "picture")
FEWEST = 19  # recorded portraits: one more of their kind misfits all n of them in one case of n + 1


class RecordError(RusrError):
    """A picture without a record."""


@dataclass(frozen=True)
class Misfit:
    """How far a restoration, degraded again, is from its input: LPIPS by the judging net, smaller is better."""

    value: float | None  # None: not measured, since f has numbers that the search was to find
    usual: float | None = None  # median of the recorded portraits, same prior and task; None: nothing is recorded
    limit: float | None = None  # the largest of them; None: fewer than `FEWEST` are recorded
    portraits: int = 0

    @property
    def warning(self) -> str | None:
        """One sentence if the misfit lies above the limit."""
        if self.limit is None or self.value is None or self.value <= self.limit:
            return None
        return (
            f"the result explains its input badly: misfit {self.value:.3f}, of {self.portraits} recorded portraits "
            f"none had more than {self.limit:.3f}; the degradation may be another one, or the picture none of this "
            f"prior's"
        )


def misfits(prior: Prior, image: Tensor, y: Tensor, f: Degradation, seed: int) -> list[Misfit]:
    """The misfit of each restoration `[N, 3, R, R]` of y `[N, 3, h, w]`, both in [0, 1], on the CPU.

    Noise of `f` is drawn with `seed`. The usual misfit is known where the prior, and the task with its level, are in
    the recorded sweeps (`data/results`). Raises `RecordError` for a seed that is none.
    """
    check_seed(seed, RecordError)
    if free_stages(f):
        return [Misfit(None)] * len(image)
    mask = mask_for(as_operator(f), y, torch.empty(image.shape), [])
    values = fidelity(image.clamp(0, 1), visible(y, mask).clamp(0, 1), f, torch.Generator().manual_seed(seed)).tolist()
    known = _known(prior.name, f)
    if not known:
        return [Misfit(value) for value in values]
    usual, limit = float(np.median(known)), max(known) if len(known) >= FEWEST else None
    return [Misfit(value, usual, limit, len(known)) for value in values]


def _known(prior: str, f: Degradation) -> list[float]:
    """The recorded misfits of a prior and a degradation, whatever its seed; [] if there are none."""
    recording = recordings.find(prior)
    if recording is None or recording.earlier:  # other weights miss by other amounts
        return []
    for task in dict.fromkeys(unit["task"] for unit in recording.units):
        name, _, level = task.rpartition(" ")
        if _stages(tasks.get(name, level)) == _stages(f):
            return recording.column("fidelity", task=task, method="default")
    return []


def _stages(f: Degradation) -> list[str]:
    """The stages of a degradation in words, all strokes with the same seed."""
    return [str(replace(stage, seed=0) if isinstance(stage, Strokes) else stage) for stage in f.stages]


def digest(path: Path) -> str | None:
    """SHA-256 of a file; None if it can no longer be read: the result of a search is not thrown away for that."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def record_of(
    source: Path,
    f: Degradation | str,
    prior: Prior,
    *,
    method: str,
    seed: int,
    steps: Sequence[int],
    seconds: float,
    found: Sequence[Misfit],
    unmarked: str,
    answers: int = 1,
    more: dict[str, object] | None = None,
) -> dict[str, object]:
    """The record of one picture, as plain JSON values: one entry of `steps` for each search of each face in it, and of
    `found` for each face; `seconds` is what all took.

    `f` may be several in words. `unmarked`: why the picture carries no mark; "" if it does. `answers` as in `work_of`.
    """
    return {
        "format": FORMAT,
        **work_of(source, f, prior, method, seed, answers),
        "steps": list(steps),
        "seconds": round(seconds, 2),
        "misfit": [_values(misfit) for misfit in found],
        "warnings": [misfit.warning for misfit in found if misfit.warning],
        **(more or {}),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "pillow": PIL.__version__,
        },
        "mark": unmarked or SOURCE_TYPE,
    }


def work_of(
    source: Path, f: Degradation | str, prior: Prior, method: str, seed: int, answers: int = 1
) -> dict[str, object]:
    """The part of a record that is known before the work: what is done, to which input. `answers` is how many are
    written; 1: the method's own picture, which may be the mean of several draws."""
    about = {"program": f"rusr {rusr_core.__version__}", "input": {"file": source.name, "sha256": digest(source)}}
    return about | {"degradation": str(f), "prior": prior.name, "method": method, "seed": seed, "answers": answers}


def is_same_work(picture: Path, record: Mapping[str, object]) -> bool:
    """Whether a picture that is there says of itself what `record`, or the part of it that `work_of` gives, says.

    False where that cannot be told: for a picture without a record, and a mask, which no word describes.
    """
    words = str(record["degradation"])
    try:
        found = read_record(picture)
    except (RusrError, OSError):
        return False
    known = json.loads(json.dumps(record))  # as it is read: lists for tuples
    return "<" not in words and all(found.get(key) == known[key] for key in SAME if key in known)


def _values(misfit: Misfit) -> dict[str, object]:
    measured = {"lpips": None if misfit.value is None else round(misfit.value, 5)}
    if misfit.usual is None:
        return measured | {"usual": None}  # not measured for this prior and degradation
    largest = None if misfit.limit is None else round(misfit.limit, 5)
    return measured | {"usual": round(misfit.usual, 5), "largest": largest, "portraits": misfit.portraits}


def record_path(picture: Path) -> Path:
    """The record's file beside a picture: OUT.json for OUT.png."""
    return with_ending(picture, ".json")


def read_record(picture: str | Path) -> dict[str, object]:
    """The record that a picture carries or, if it carries none, that lies beside it. Raises RecordError, ImageError."""
    picture = as_path(picture, RecordError)
    found = read_metadata(picture)
    beside = record_path(picture)
    try:
        text = beside.read_text(encoding="utf-8") if found is None else found.text
        record = json_object(text)
    except FileNotFoundError:
        raise RecordError(f"{picture}: carries no record, and there is no {beside.name} beside it") from None
    except (OSError, ValueError) as error:
        raise RecordError(f"{picture}: its record cannot be read ({error})") from None
    if record.get("format") != FORMAT:
        raise RecordError(f"{picture}: expected a record of format {FORMAT}, found {text[:40]!r}")
    return record
