"""The faces of the photographs that `rusr align` and `rusr photo` are given, and their squares."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.commands.options import count
from rusr_core.commands.output import complain, say
from rusr_core.photos.align import Frame, corners, homography, map_points, pixel_centres, quad_of
from rusr_core.photos.faces import Face, FaceError, chosen, find_faces

PARTS = ("left eye", "right eye", "nose", "left corner of the mouth", "right corner of the mouth")
MOST_OUTSIDE = 0.35  # of a face's square: beyond it too much would be made up
WORTH_SAYING = 0.01


@dataclass(frozen=True, eq=False)
class Subject:
    """One face that is worked on."""

    number: int  # in the photograph, from 1, the largest first
    quad: Tensor  # [4, 2], its square in px
    face: Face | None = None  # None: the photograph is aligned already
    outside: float = 0.0  # share of the square that lies beyond the photograph

    def record(self) -> dict[str, object]:
        """As plain JSON values, in px of the input."""
        box = None if self.face is None else [round(v, 1) for v in self.face.box]
        return {"number": self.number, "box": box, "square": [[round(v, 1) for v in p] for p in self.quad.tolist()]}


def face_option(parser: argparse.ArgumentParser) -> None:
    """Which faces are meant; `subjects_of` reads it."""
    words = "only this face, counted from the largest (default: all)"
    parser.add_argument("--face", type=count, metavar="N", help=words)


def subjects_of(source: Path, picture: Tensor, frame: Frame, number: int | None) -> list[Subject]:
    """The faces of a photograph `[3, H, W]`, uint8, all or one by its number; says where they are.

    A face that the border cuts through is left out, which is said. Raises FaceError if no face is left.
    """
    size = (picture.shape[1], picture.shape[2])
    faces = find_faces(picture)
    found, cut = [], []
    for face in chosen(faces, number, size):
        count = 1 + next(i for i, other in enumerate(faces) if other is face)
        quad = quad_of(face.landmarks, frame)
        outside = share_outside(quad, size)
        if reason := _cut(face, count, outside, size):
            cut.append(reason)
            continue
        if outside > WORTH_SAYING:
            part = f"{100 * outside:.0f} % of the square of face {count} lie beyond the border and are mirrored"
            complain(f"warning: {source}: {part}")
        left, upper, right, lower = (round(v) for v in face.box)
        say(f"{source}: face {count} of {len(faces)}, {right - left}x{lower - upper} px at ({left}, {upper})")
        found.append(Subject(count, quad, face, outside))
    if not found:
        raise FaceError(f"no face can be used: {'; '.join(cut)}")
    for reason in cut:
        complain(f"{source}: {reason}")
    return found


def whole(picture: Tensor) -> list[Subject]:
    """The largest square in the middle of a photograph that is aligned already."""
    height, width = picture.shape[1:]
    side = min(height, width)
    return [Subject(1, corners(side) + torch.tensor([(width - side) // 2, (height - side) // 2]).double())]


def share_outside(quad: Tensor, size: tuple[int, int]) -> float:
    """The share of a square `[4, 2]` that lies beyond a picture of `size` (height, width)."""
    places = map_points(homography(corners(64), quad), pixel_centres(64, 64))
    inside = (places >= 0).all(-1) & (places[..., 0] <= size[1]) & (places[..., 1] <= size[0])
    return float(1 - inside.double().mean())


def _cut(face: Face, number: int, outside: float, size: tuple[int, int]) -> str:
    """Why the border leaves too little of a face; "" if it does not."""
    limit = face.landmarks.new_tensor([size[1], size[0]])
    for point, part in zip(face.landmarks, PARTS, strict=True):
        if not ((point >= 0) & (point <= limit)).all():
            return f"face {number} is cut by the border: its {part} lies beyond it"
    if outside > MOST_OUTSIDE:
        most = f"expected at most {100 * MOST_OUTSIDE:.0f} %"
        return f"face {number} is cut by the border: {100 * outside:.0f} % of its square lie beyond it; {most}"
    return ""
