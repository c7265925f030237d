"""Faces in a photograph: where they are, and five landmarks of each, by MTCNN.

Zhang, Zhang, Li, Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", IEEE
Signal Processing Letters 2016, https://arxiv.org/abs/1604.02878, as the package facenet-pytorch holds it, with its
weights. Points are [x, y] in pixels from the upper left corner of a picture, whose pixels have their centres at 0.5.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cache

import torch
from PIL import Image
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.images import to_pil
from rusr_core.limits import is_whole, shown
from rusr_core.photos.align import FFHQ, align, corners, homography, map_points, quad_of

LONGEST = 2048  # px; larger pictures are shrunk before faces are looked for
SMALLEST = 20  # px of the shrunk picture, the smallest face that MTCNN is asked for
LIKELY = 0.9  # probability below which a detection is no face
HALF_PIXEL = 0.5  # MTCNN's points lie this much further right and down than ours, measured by benchmarks/faces.py
SECOND_LOOK = 256  # px, side of the upright picture in which the landmarks are looked for again
WIDER = 1.3  # its sides to those of FFHQ's square


class FaceError(RusrError):
    """A picture without a usable face, or without the asked one, or no detector."""


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a photograph."""

    box: tuple[float, float, float, float]  # left, upper, right, lower in px; it may reach beyond the picture
    landmarks: Tensor  # [5, 2], float64: eyes and mouth corners at the left of the picture come first
    probability: float  # MTCNN's


def find_faces(picture: Tensor) -> list[Face]:
    """All faces of a picture `[3, H, W]`, uint8, the largest first; [] if there is none.

    Faces of at least 20 px are found, in pictures over 2048 px of at least 1 % of the longer side. The landmarks are
    looked for twice, the second time in a picture that the first ones have turned upright: MTCNN has been trained on
    upright faces. Raises FaceError if the package facenet-pytorch is not installed.
    """
    if picture.dim() != 3 or picture.shape[0] != 3 or picture.dtype != torch.uint8:
        raise FaceError(f"expected a picture [3, H, W] of uint8, got {list(picture.shape)} {picture.dtype}")
    detector = _detector()
    if min(picture.shape[1:]) < SMALLEST:
        return []
    shrink = max(1, math.ceil(max(picture.shape[1:]) / LONGEST))
    small = Image.fromarray(picture.permute(1, 2, 0).numpy())
    small = small.reduce(shrink) if shrink > 1 else small
    found = []
    for box, landmarks, probability in _detect(detector, small):
        landmarks = _second_look(detector, picture, landmarks * shrink)
        found.append(Face(tuple(float(v) * shrink for v in box), landmarks, probability))
    return found


def chosen(faces: list[Face], number: int | None, size: tuple[int, int]) -> list[Face]:
    """All of the faces, or the one of a number from 1; raises FaceError where that is none. `size`: (height, width)."""
    if not faces:
        least = SMALLEST * max(1, math.ceil(max(size) / LONGEST))
        raise FaceError(f"no face found; upright faces of at least {least} px are looked for")
    if number is None:
        return faces
    if not is_whole(number) or not 1 <= number <= len(faces):
        raise FaceError(f"there is no face {shown(number)}; found {len(faces)}, expected a number from 1, the largest")
    return [faces[number - 1]]


def _second_look(detector: torch.nn.Module, picture: Tensor, landmarks: Tensor) -> Tensor:
    """The landmarks as the upright face shows them; those given, if no face is found near them."""
    quad = quad_of(landmarks, FFHQ.wider(WIDER))
    upright = to_pil(align(picture, quad, SECOND_LOOK))
    back = homography(corners(SECOND_LOOK), quad)
    again = [map_points(back, points) for _, points, _ in _detect(detector, upright)]
    if not again:
        return landmarks
    nearest = min(again, key=lambda points: (points - landmarks).square().sum())
    reach = (landmarks[1] - landmarks[0]).norm() / 3  # farther away it is another face
    return nearest if (nearest - landmarks).norm(dim=1).max() < reach else landmarks


def _detect(detector: torch.nn.Module, picture: Image.Image) -> list[tuple[Tensor, Tensor, float]]:
    """Boxes [4], landmarks [5, 2] and probabilities of one RGB picture, the largest first."""
    boxes, probabilities, points = detector.detect(picture, landmarks=True)
    if boxes is None:
        return []
    boxes, points = (torch.tensor(values.astype(float)) - HALF_PIXEL for values in (boxes, points))
    found = zip(boxes, points, map(float, probabilities), strict=True)
    return [each for each in found if each[2] >= LIKELY]


@cache
def _detector() -> torch.nn.Module:
    """MTCNN on the CPU: the same faces on every machine."""
    try:
        from facenet_pytorch import MTCNN
    except ImportError as error:
        raise FaceError("faces are found by the package facenet-pytorch: pip install 'rusr[faces]'") from error
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():  # new layers draw weights before they load them
        warnings.simplefilter("ignore", FutureWarning)  # of torch.load inside the package
        return MTCNN(keep_all=True, min_face_size=SMALLEST, device="cpu").eval()
