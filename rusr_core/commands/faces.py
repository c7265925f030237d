"""The degradation of each face of a photograph: what the options state, or what is estimated and carried over to it."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.commands.align import align_all
from rusr_core.commands.estimates import briefly, nothing_said, reasons
from rusr_core.commands.masks import Masks
from rusr_core.commands.operators import Operators
from rusr_core.commands.options import CommandError
from rusr_core.commands.output import complain, say
from rusr_core.commands.subjects import Subject
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.compose import Compose
from rusr_core.degradations.inpainting import Mask
from rusr_core.photos.carried import carried, window_around
from rusr_core.photos.estimate import Estimate, estimate
from rusr_core.photos.masks import align_mask, doubts, filled


@dataclass(frozen=True, eq=False)
class Part:
    """Faces of one photograph that are searched together."""

    subjects: list[Subject]
    y: Tensor  # [N, 3, h, w], upright
    f: Degradation


@dataclass(frozen=True, eq=False)
class Faces:
    """What is to be done for one photograph."""

    parts: list[Part]
    estimate: Estimate | None = None  # None: the options state the degradation

    @property
    def nbytes(self) -> int:
        """Of all upright pictures."""
        return sum(part.y.nbytes for part in self.parts)


class FaceDegradations:
    """What --task, --level, --degradation and --mask say of the faces; without a degradation, what the files say."""

    def __init__(self, args: argparse.Namespace):
        """Raises CommandError for options that do not belong together."""
        self.notes: list[str] = []
        self.told: set[Path] = set()  # photographs that are read twice are spoken of once
        plain = argparse.Namespace(**vars(args) | {"mask": None, "invert_mask": False})
        if args.mask is None and args.invert_mask:
            raise CommandError("--invert-mask needs --mask")
        self.masks = None if args.mask is None else Masks(args)
        self.stated = None if nothing_said(plain) else Operators(plain)
        self.resolution, self.size = 0, None

    def for_prior(self, resolution: int) -> None:
        """Faces are those of a prior of `resolution` px; before that, nothing can be asked of them."""
        self.resolution = resolution
        self.size = None if self.stated is None else self.stated.input_size(resolution)

    @property
    def common(self) -> Degradation | None:
        """That of every face, known before a photograph is read; None: each has its own."""
        return None if self.stated is None or self.masks is not None else self.stated.common

    def of(self, source: Path, picture: Tensor, subjects: list[Subject]) -> Faces:
        """The faces of the photograph `source`, `picture` `[3, H, W]`, uint8."""
        size = (picture.shape[1], picture.shape[2])
        known = None if self.masks is None else self.masks.of(source, size)[1]
        if self.stated is None:
            faces = self._estimated(source, picture, subjects, known)
        else:
            faces = self._stated(self.stated.of(source, size, self.size), picture, subjects, known)
        if known is not None and source not in self.told:
            _check_masks(source, faces)
        self.told.add(source)
        return faces

    def tell(self) -> None:
        """Say what was read from masks and from files, and what is assumed of each face."""
        for note in (*(self.masks.notes if self.masks else ()), *self.notes):
            say(note)
        if self.stated is not None:
            self.stated.tell()
        self.notes = []

    def _stated(self, f: Degradation, picture: Tensor, subjects: list[Subject], known: Tensor | None) -> Faces:
        """All faces at once, or each by itself where a mask hides some of it."""
        picture = picture if known is None else filled(picture, known)
        y = align_all(picture, [subject.quad for subject in subjects], self.size)
        if known is None:
            return Faces([Part(subjects, y, f)])
        parts = []
        for subject, image in zip(subjects, y.split(1), strict=True):
            upright = align_mask(known, subject.quad, self.size)
            parts.append(Part([subject], image, Compose(f, Mask(upright)) if upright.min() < 1 else f))
        return Faces(parts)

    def _estimated(self, source: Path, picture: Tensor, subjects: list[Subject], known: Tensor | None) -> Faces:
        """Each face by the estimate of its photograph; those that share a degradation at once."""
        window = window_around(subjects[0].quad, (picture.shape[1], picture.shape[2]))
        found = estimate(source, mask=known, window=window)
        painted = (stage.visible for stage in found.stages if isinstance(stage, Mask))
        shown = next(painted, None) if known is None else known
        picture = picture if shown is None else filled(picture, shown)
        lines, parts = [f"{source}: {reasons(found)}"], {}
        for subject in subjects:
            face = carried(found, subject.quad, self.resolution, known)
            y = align_all(picture, [subject.quad], (face.size, face.size))
            lines.append(f"{source}: face {subject.number}: assumed {'; '.join((briefly(face.f), *face.notes))}")
            alike = (str(face.f), face.size) if _mask_of(face.f) is None else subject.number
            there = parts.get(alike, Part([], y[:0], face.f))
            parts[alike] = Part([*there.subjects, subject], torch.cat([there.y, y]), face.f)
        self.notes += lines if source not in self.told else []
        return Faces(list(parts.values()), found)


def _check_masks(source: Path, faces: Faces) -> None:
    """Say what is odd about the mask of a photograph."""
    masked = [(part, mask) for part in faces.parts if (mask := _mask_of(part.f)) is not None]
    if not masked:
        complain(f"warning: {source}: the mask hides nothing of any face")
    for part, mask in masked:
        for doubt in doubts(mask.visible, part.y):
            complain(f"warning: {source}: face {part.subjects[0].number}: {doubt}")


def _mask_of(f: Degradation) -> Mask | None:
    """The mask of one face, the last stage."""
    return next((stage for stage in f.stages[-1:] if isinstance(stage, Mask)), None)
