"""How well faces are found, aligned and pasted back: portraits placed turned, scaled and shifted in larger scenes.

    python -m benchmarks.faces                   # 50 portraits of Portraits-X in scenes of 900 x 700 px
    python -m benchmarks.faces --calibrate 200   # how portraits of this project are framed, against FFHQ's square

Landmarks are compared with those that are found in the portrait alone, since nobody has marked the true ones.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rusr_core.commands.ending import ended
from rusr_core.commands.options import count, seed, whole
from rusr_core.files import data_path
from rusr_core.images import load_image, to_uint8
from rusr_core.photos.align import FFHQ, PORTRAITS, align, corners, homography, map_points, pixel_centres, quad_of
from rusr_core.photos.faces import Face, FaceError, find_faces
from rusr_core.photos.paste import paste
from rusr_core.priors.load import PORTRAITS_X
from tools.portraits.renderer import render
from tools.portraits.training.render_training_set import factors

SIDE = 128  # px of a portrait
WIDTH, HEIGHT = 900, 700  # px of a scene
TURN = 30.0  # degrees, at most, to either side
SCALES = (0.3, 3.0)
FINER = 4  # samples a pixel, in both directions


@dataclass(frozen=True)
class Scene:
    """A portrait in a larger picture."""

    picture: Tensor  # [3, H, W], uint8
    quad: Tensor  # [4, 2], the corners of the portrait
    scale: float
    turn: float  # degrees


def place(portrait: Tensor, scale: float, turn: float, generator: torch.Generator) -> Scene:
    """A portrait `[1, 3, 128, 128]` somewhere in a scene, antialiased, over a smooth coloured background."""
    angle = torch.tensor(turn).deg2rad()
    half = scale * SIDE / 2
    x = torch.stack((angle.cos(), angle.sin())).double() * half
    y = torch.stack((-x[1], x[0]))
    reach = float(x.abs().sum()) + 1
    room = torch.tensor([WIDTH - 2 * reach, HEIGHT - 2 * reach]).clamp(min=0)
    centre = torch.rand(2, generator=generator).double() * room + reach
    quad = torch.stack((centre - x - y, centre - x + y, centre + x + y, centre + x - y))
    coarse = torch.rand(1, 3, 4, 5, generator=generator)
    scene = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic").clamp(0, 1)[0]
    left, upper = (int(v) for v in quad.amin(0).floor())
    right, lower = (int(v) for v in quad.amax(0).ceil())
    to_unit = homography(quad - quad.new_tensor([left, upper]), corners(1))
    places = map_points(to_unit, pixel_centres((lower - upper) * FINER, (right - left) * FINER) / FINER)
    large = torch.nn.functional.interpolate(portrait, scale_factor=FINER, mode="bicubic").clamp(0, 1)
    pasted = torch.nn.functional.grid_sample(
        large, (2 * places - 1)[None].float(), "bilinear", "border", align_corners=False
    )
    inside = ((places > 0) & (places < 1)).all(-1)[None, None].float()
    pasted, share = (torch.nn.functional.avg_pool2d(v, FINER)[0] for v in (pasted, inside))
    window = scene[:, upper:lower, left:right]
    scene[:, upper:lower, left:right] = window * (1 - share) + pasted * share
    return Scene(to_uint8(scene), quad, scale, turn)


def scenes(number: int, seed: int) -> Iterator[tuple[Tensor, Scene]]:
    """The first portraits of Portraits-X, each with a scene of its own."""
    generator = torch.Generator().manual_seed(seed)
    low, high = (torch.tensor(v).log() for v in SCALES)
    for index in range(number):
        portrait = load_image(data_path(f"portraits/test/{index:03d}.png"))
        draw = torch.rand(2, generator=generator)
        scale, turn = float((low + draw[0] * (high - low)).exp()), float((2 * draw[1] - 1) * TURN)
        yield portrait, place(portrait, scale, turn, generator)


def measure(portrait: Tensor, scene: Scene) -> dict[str, float | bool]:
    """One scene: whether the face is found, errors in px of the aligned picture, PSNR of align and paste."""
    to_portrait = homography(scene.quad, corners(SIDE))
    result: dict[str, float | bool] = {"scale": scene.scale, "turn": scene.turn}
    faces = find_faces(scene.picture)
    if not faces:
        return result | {"found": False}
    distances = [(quad_of(f.landmarks, PORTRAITS).mean(0) - scene.quad.mean(0)).norm() for f in faces]
    face = faces[int(torch.stack(distances).argmin())]
    quad = quad_of(face.landmarks, PORTRAITS)
    alone = the_face(portrait)
    error = map_points(to_portrait, face.landmarks) - alone.landmarks
    off = map_points(to_portrait, quad) - corners(SIDE)
    back = paste(scene.picture, align(scene.picture, quad, SIDE), quad)
    places = map_points(homography(quad, corners(1)), pixel_centres(*scene.picture.shape[1:]))
    inside = ((places > 0) & (places < 1)).all(-1)
    difference = (back.float() - scene.picture.float()) / 255
    mse = difference[:, inside].square().mean()
    return result | {
        "found": True,
        "others": len(faces) - 1,
        "landmarks": float(error.square().sum(1).mean().sqrt()),
        "corners": float(off.square().sum(1).mean().sqrt()),
        "centre": float(off.mean(0).norm()),
        "psnr": float(-10 * mse.clamp(min=1e-12).log10()),
        "outside_identical": bool((back == scene.picture)[:, ~inside].all()),
    }


def the_face(portrait: Tensor) -> Face:
    """The largest face of a portrait `[1, 3, 128, 128]`. FaceError if none is found."""
    faces = find_faces(to_uint8(portrait[0]))
    if not faces:
        raise FaceError("no face is found in a portrait alone, with which those in scenes are compared")
    return faces[0]


def calibrate(number: int) -> dict[str, float]:
    """How portraits of the training set are framed, as `photos.align.Frame` says it: means over `number` of them."""
    sums = torch.zeros(3, dtype=torch.float64)
    for portrait in render(factors(number, 1).flatten(0, 1)).split(1):
        quad = quad_of(the_face(portrait).landmarks, FFHQ)
        x = (quad[3] - quad[0]) / 2
        shift = (corners(SIDE) - quad).mean(0)
        right = shift @ x / x.square().sum()
        down = (shift[1] * x[0] - shift[0] * x[1]) / x.square().sum()
        sums += torch.stack((SIDE / 2 / x.norm(), right, down))
    scale, right, down = (sums / number).tolist()
    return {"scale": round(scale, 4), "right": round(right, 4), "down": round(down, 4)}


def summary(rows: list[dict]) -> dict[str, object]:
    """Of all scenes: how many faces are found, and median and worst of every number."""
    found = [row for row in rows if row["found"]]
    result: dict[str, object] = {"scenes": len(rows), "found": len(found)}
    result["outside_identical"] = all(row["outside_identical"] for row in found)
    if not found:
        return result
    for name, worst in (("landmarks", max), ("corners", max), ("centre", max), ("psnr", min)):
        values = [row[name] for row in found]
        result[name] = {"median": round(statistics.median(values), 2), "worst": round(worst(values), 2)}
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=whole(1, PORTRAITS_X), default=50, help="default: %(default)s")
    parser.add_argument("--seed", type=seed, default=0, help="of the places (default: %(default)s)")
    parser.add_argument("--calibrate", type=count, metavar="N", help="measure the frame of N portraits instead")
    args = parser.parse_args()
    if args.calibrate:
        print(json.dumps(calibrate(args.calibrate)))
        return
    rows = [measure(portrait, scene) for portrait, scene in scenes(args.scenes, args.seed)]
    print(json.dumps(summary(rows), indent=1))


if __name__ == "__main__":
    sys.exit(ended(main))
