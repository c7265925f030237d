"""What the page of `rusr app` does, without the page: pictures that were handed in, and their restoration.

Nothing here knows Gradio. A `Desk` is what one tab of the browser works on.
"""

import base64
import queue
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rusr_core.decoding import DecodingWarning, ImageError
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.inpainting import Mask
from rusr_core.degradations.notation import parse
from rusr_core.degradations.operator import shape_after
from rusr_core.errors import RusrError
from rusr_core.images import fit_image, load_image, resize
from rusr_core.photos.estimate import Estimate, estimate
from rusr_core.photos.masks import fit_mask
from rusr_core.presets import get
from rusr_core.prior import Prior, prior_shape
from rusr_core.restore import Search, Step, restore

LOOKING = threading.Lock()
EVERY = 0.3  # seconds between two pictures of a search


class AppError(RusrError):
    """The page cannot be served, or cannot do what was asked of it."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A file that was handed in, and what happened to it as far as that can be known."""

    path: Path
    estimate: Estimate
    notation: str  # of the damage: the estimate's if the picture can be taken as it is, else "identity"
    fitted: bool  # whether it has to be cropped or resized, which hides what happened to it before
    hole: Tensor | None  # [1, 1, H, W] at the file's size, 1 where it is known; None: no hole was found

    @property
    def name(self) -> str:
        """The file's name."""
        return self.path.name


@dataclass(frozen=True, eq=False)
class Shown:
    """A search on its way."""

    phase: str
    step: int
    loss: float
    image: Tensor  # [1, 3, R, R] in [0, 1], the first answer


@dataclass
class Desk:
    """What one tab works on: its files, their pictures by name, what was painted on them, and its searches."""

    files: dict[Path, str] = field(default_factory=dict)  # all that were handed in, with what is said of them, or ""
    pictures: dict[str, Picture] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)  # that were given: each once, so that nobody takes two for one
    painted: dict[str, dict[str, object]] = field(default_factory=dict)  # by name, the brush's values
    shown: str = ""  # the name of the picture on which is painted
    stop: threading.Event = field(default_factory=threading.Event)
    asked: int = 0  # the number of the newest search that was asked for, or withdrawn
    running: bool = False
    closed: bool = False  # the tab has gone: what comes late is not taken

    def take(self, paths: list[Path], prior: Prior) -> list[str]:
        """Look at all files that are handed in now; lines about those that are no pictures, or are not used whole.

        What was looked at before is not looked at again, and what is no longer among `paths` is forgotten. Of equal
        names the second gets a number.
        """
        for path in [path for path in self.files if path not in paths]:
            del self.files[path]
        for name in [name for name, one in self.pictures.items() if one.path not in paths]:
            del self.pictures[name]
            self.painted.pop(name, None)
        for path in paths:
            if path in self.files or self.closed:
                continue
            self.files[path] = ""  # from now on it is this desk's to delete
            try:
                with _told() as notes:
                    picture = look(path, prior)
            except ImageError as error:
                self.files[path] = str(error).replace(str(path), path.name)
                continue
            self.files[path] = "\n".join(notes).replace(str(path), path.name)
            name, number = picture.name, 2
            while name in self.names:
                name, number = f"{picture.name} ({number})", number + 1
            self.names.add(name)
            self.pictures[name] = picture
        if self.closed:
            self.leave()
        return [line for line in self.files.values() if line]

    def ask(self) -> int:
        """The number of a search that is asked for; it withdraws those that wait in line before it."""
        self.asked += 1
        return self.asked

    @contextmanager
    def begun(self, number: int) -> Iterator[bool]:
        """The turn of the search `number` has come: whether it is still wanted, and if so, it runs in this context."""
        wanted = number == self.asked and not self.closed
        if wanted:
            self.stop.clear()
            self.running = True
        try:
            yield wanted
        finally:
            if wanted:
                self.running = False

    def halt(self) -> bool:
        """Withdraw what waits and stop what runs; whether something runs."""
        self.asked += 1
        self.stop.set()
        return self.running

    def leave(self) -> list[Path]:
        """The tab has gone: stop what runs, and forget everything. The files that were handed in."""
        self.closed = True
        self.halt()
        left = list(self.files)
        for kept in (self.files, self.pictures, self.painted):
            kept.clear()
        return left


@contextmanager
def _told() -> Iterator[list[str]]:
    """The lines that decoding warns of in this context; other warnings go on. One context at a time: the list of all
    threads' warnings is one."""
    notes: list[str] = []
    with LOOKING, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DecodingWarning)
        yield notes
    for one in caught:
        if issubclass(one.category, DecodingWarning):
            notes.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def look(path: Path, prior: Prior) -> Picture:
    """What happened to a file, for a search with `prior`. Raises ImageError for what is no usable picture."""
    found = estimate(path)
    shape = (1, 3, found.height, found.width)
    hole = next((stage.mask(shape) for stage in found.stages if isinstance(stage, Mask)), None)
    stages = [stage for stage in found.stages if not isinstance(stage, Mask)]
    try:
        whole = found.degradation(prior_shape(prior, 1)[-1])
    except ImageError:  # it is no square
        return Picture(path, found, "identity", True, hole)
    first = whole.stages[: len(whole.stages) - len(found.stages)]
    return Picture(path, found, str(Compose(*first, *stages)), False, hole)


def task_of(
    picture: Picture, notation: str, painted: Tensor | None, prior: Prior, seed: int
) -> tuple[Tensor, Degradation]:
    """The input y `[1, 3, h, w]` and the damage f that `notation` names.

    A picture of another size or shape is cropped and resized to what f makes of the prior's images. What is `painted`,
    `[1, 1, h, w]` with 1 where the input is known, and a hole that was found in the file, are the last stage of f and
    black in y. Raises DegradationError for another notation.
    """
    f = parse(notation.strip() or "identity", seed=seed)
    size = tuple(shape_after(f, torch.empty(prior_shape(prior, 1)))[-2:])
    y = fit_image(load_image(picture.path), size, "crop")
    known = torch.ones(1, 1, *size) if painted is None else painted
    if picture.hole is not None:
        known = known * fit_mask(picture.hole, size, "crop")
    return (y, f) if bool((known == 1).all()) else (y * known, Compose(*f.stages, Mask(known)))


def known_of(drawn: dict[str, object] | None, size: tuple[int, int]) -> Tensor | None:
    """What the brush's value, see `canvas.js`, leaves of an input of `size`: `[1, 1, h, w]`, 1 = known.

    None if nothing was painted. A pixel is hidden if a part of it was painted over.
    """
    if not drawn or not drawn.get("painted"):
        return None
    values = np.frombuffer(base64.b64decode(drawn["painted"]), np.uint8).astype(np.float32) / 255
    untouched = torch.from_numpy(values).view(1, 1, drawn["height"], drawn["width"])
    known = (resize(untouched, size, "area") == 1).float()
    return None if bool(known.all()) else known


def searched(
    prior: Prior, y: Tensor, f: Degradation, *, preset: str, seed: int, samples: int, stop: threading.Event
) -> Iterator[Shown | Search]:
    """Restore y in a thread of its own: pictures on the way, then the result, which `stop` brings at once.

    Raises what `restore` raises. Whoever closes the iterator ends the search.
    """
    news: queue.SimpleQueue = queue.SimpleQueue()
    closed, last = threading.Event(), 0.0

    def callback(step: Step) -> None:
        nonlocal last
        if stop.is_set() or closed.is_set():
            raise KeyboardInterrupt  # `restore` then returns what there is
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            total = float(step.losses["total"].nanmean())
            news.put(Shown(step.phase, step.step, total, step.image()[:1].cpu()))

    def run() -> None:
        try:
            news.put(restore(prior, y, f, preset=get(preset), seed=seed, samples=samples, callback=callback))
        except Exception as error:
            news.put(error)

    thread = threading.Thread(target=run)  # whoever ends the process sets `stop`, and it then ends after a step
    thread.start()
    try:
        while True:
            found = news.get()
            if isinstance(found, Exception):
                raise found
            yield found
            if isinstance(found, Search):
                return
    finally:
        closed.set()
        thread.join()
