"""Faces are found, aligned by FFHQ's rule and pasted back; the scenes are those of benchmarks/faces.py."""

import sys

import numpy as np
import pytest
import torch
from conftest import PORTRAIT
from PIL import Image
from torchvision.transforms.v2 import functional

from benchmarks.faces import SIDE, place
from rusr_core import parts
from rusr_core.images import load_image, resize, to_uint8
from rusr_core.metrics import psnr
from rusr_core.photos import faces as detection
from rusr_core.photos.align import (
    FFHQ,
    PORTRAITS,
    AlignError,
    Frame,
    align,
    corners,
    gaussian_blur,
    homography,
    map_points,
    pixel_centres,
    quad_of,
    side_of,
)
from rusr_core.photos.faces import FaceError, chosen, find_faces
from rusr_core.photos.masks import align_mask, filled
from rusr_core.photos.paste import enlarged, match_colours, paste

POINTS = torch.tensor([[40.0, 50], [80, 50], [60, 70], [45, 90], [75, 90]], dtype=torch.float64)


@pytest.fixture(scope="module")
def portrait():
    return load_image(PORTRAIT)


def scene(portrait, scale, turn, seed=0):
    return place(portrait, scale, turn, torch.Generator().manual_seed(seed))


def test_the_quad_by_hand():
    """e = (60, 50), a = (40, 0), b = (0, 40): X = (80, 0) / 80 * max(80, 72), c = (60, 54)."""
    expected = torch.tensor([[-20, -26], [-20, 134], [140, 134], [140, -26]], dtype=torch.float64)
    assert torch.allclose(quad_of(POINTS), expected)
    assert side_of(expected) == 160
    moved = quad_of(POINTS, Frame(0.5, 0.1, -0.2))
    assert torch.allclose(moved.mean(0), torch.tensor([60 + 8.0, 54 - 16]).double()) and side_of(moved) == 80


def test_the_quad_turns_with_the_face():
    angle = torch.tensor(0.4, dtype=torch.float64)
    turn = torch.stack((torch.stack((angle.cos(), -angle.sin())), torch.stack((angle.sin(), angle.cos()))))
    assert torch.allclose(quad_of(2 * POINTS @ turn.T + 7, PORTRAITS), 2 * quad_of(POINTS, PORTRAITS) @ turn.T + 7)


@pytest.mark.parametrize("points", [POINTS[:4], torch.zeros(5, 2), POINTS * float("nan")])
def test_landmarks_that_are_none(points):
    with pytest.raises(AlignError, match="landmarks"):
        quad_of(points)


def test_homography_takes_corners_to_corners():
    target = torch.tensor([[3.0, 1], [0, 9], [11, 8], [9, -2]], dtype=torch.float64)
    matrix = homography(corners(5, 7), target)
    assert torch.allclose(map_points(matrix, corners(5, 7)), target)
    with pytest.raises(AlignError, match="no three"):
        homography(torch.zeros(4, 2), target)


def test_align_agrees_with_pillows_transform(portrait):
    """An independent reference: Pillow's QUAD transform, bilinear at four times the size, then Lanczos."""
    picture = to_uint8(resize(portrait, 256, "bicubic").clamp(0, 1)[0])
    quad = torch.tensor([[70.0, 50], [50, 190], [190, 210], [210, 70]], dtype=torch.float64)
    whole = Image.fromarray(picture.permute(1, 2, 0).numpy())
    fine = whole.transform((512, 512), Image.Transform.QUAD, quad.flatten().tolist(), Image.Resampling.BILINEAR)
    expected = (
        torch.from_numpy(np.array(fine.resize((128, 128), Image.Resampling.LANCZOS))).permute(2, 0, 1)[None] / 255
    )
    assert psnr(align(picture, quad, 128), expected) > 42


def test_align_of_the_whole_picture_is_the_picture(portrait):
    """Away from its edge, where FFHQ's padding blurs a picture that ends there."""
    same = align(to_uint8(portrait[0]), corners(SIDE), SIDE)
    assert psnr(same[..., 16:112, 16:112], portrait[..., 16:112, 16:112]) > 45


def test_align_averages_what_it_shrinks():
    """One-pixel stripes become their mean: nothing is aliased."""
    stripes = torch.zeros(3, 600, 600, dtype=torch.uint8)
    stripes[:, :, ::2] = 255
    small = align(stripes, torch.tensor([[50.0, 50], [50, 550], [550, 550], [550, 50]]).double(), 32)
    assert (small - 0.5).abs().max() < 0.02


@pytest.mark.parametrize(("sigma", "reach"), [(1.3, 4), (2.5, 19)])
def test_the_blur_is_torchvisions(sigma, reach):
    x = torch.rand(1, 4, 20, 31, generator=torch.Generator().manual_seed(0))
    expected = functional.gaussian_blur(x, [2 * reach + 1] * 2, [sigma] * 2)
    assert (gaussian_blur(x, sigma, reach) - expected).abs().max() < 2e-6


def test_what_lies_outside_is_mirrored_then_led_to_the_median(portrait):
    picture = to_uint8(portrait[0])
    quad = corners(SIDE) - torch.tensor([40.0, 0]).double()  # 40 px of 128 at the left are not in the picture
    x = align(picture, quad, SIDE)
    assert psnr(x[..., 16:112, 60:], portrait[..., 16:112, 20:88]) > 45  # well inside the picture it is the picture
    left = x[..., 35:40]
    assert (left - portrait[..., :5].flip(3)).abs().mean() < 0.1  # beside its edge it is mirrored
    median = picture[:, :, :].flatten(1).median(1).values / 255
    assert (
        x[..., 0].std(2).max() < portrait[..., 40].std(2).max() and (x[0, :, :, 0].mean(1) - median).abs().max() < 0.3
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (2, 2), (40, 1)])
def test_align_of_a_square_of_a_pixel_or_two_is_finite(shape):
    picture, side = torch.full((3, *shape), 51, dtype=torch.uint8), min(shape)
    assert (align(picture, corners(side), 8) - 0.2).abs().max() < 1e-5
    assert (align(picture, corners(side) / 4, 8) - 0.2).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("scale", "turn"),
    [pytest.param(0.4, 25.0, marks=pytest.mark.slow), (1.0, -30.0), pytest.param(2.5, 12.0, marks=pytest.mark.slow)],
)
def test_placed_portraits_are_found_and_pasted_back(portrait, scale, turn):
    """Corners within 6 px of the aligned 128; align and paste without restoring keep 40 dB inside, all bits outside."""
    placed = scene(portrait, scale, turn)
    (face,) = find_faces(placed.picture)
    quad = quad_of(face.landmarks, PORTRAITS)
    off = map_points(homography(placed.quad, corners(SIDE)), quad) - corners(SIDE)
    assert off.square().sum(1).mean().sqrt() < 6
    back = paste(placed.picture, align(placed.picture, quad, SIDE), quad)
    places = map_points(homography(quad, corners(1)), pixel_centres(*placed.picture.shape[1:]))
    inside = ((places > 0) & (places < 1)).all(-1)
    difference = (back.float() - placed.picture.float()) / 255
    assert -10 * difference[:, inside].square().mean().log10() > 40
    assert torch.equal(back[:, ~inside], placed.picture[:, ~inside]) and inside.any() and not inside.all()


def test_paste_shows_the_new_picture_and_matches_colours_at_the_seam(portrait):
    placed = scene(portrait, 1.5, 20.0)
    cast = (align(placed.picture, placed.quad, SIDE) + 0.1).clamp(0, 1)
    back = paste(placed.picture, cast, placed.quad)
    change = (align(back, placed.quad, SIDE) - align(placed.picture, placed.quad, SIDE)).mean((0, 1))
    assert change[48:80, 48:80].mean() > 0.07  # in the middle the new colours stand
    assert change[20:108, 12:16].abs().mean() < 0.05  # near the edge they follow the picture's
    assert torch.equal(match_colours(cast, cast), cast)


def test_paste_keeps_the_input_and_what_lies_beyond_the_border(portrait):
    picture = to_uint8(portrait[0])
    before = picture.clone()
    out = paste(picture, torch.zeros(1, 3, 64, 64), corners(60) - 30)
    assert torch.equal(picture, before) and torch.equal(out[:, 31:], picture[:, 31:])
    assert not torch.equal(out, picture)
    assert torch.equal(paste(picture, torch.zeros(1, 3, 64, 64), corners(60) - 300), picture)


@pytest.mark.parametrize(
    "side, turn, size", [(128, 0, 128), (128, 10, 128), (60, 20, 32), (200, 10, 128), (180, 33, 64), (250, 3, 128)]
)
@pytest.mark.parametrize("hole", [(slice(110, 150), slice(140, 210)), (slice(60, 100), slice(256)), (slice(256),) * 2])
def test_what_stands_in_a_hole_is_seen_nowhere_in_the_square(portrait, hole, side, turn, size):
    """Be it at the square's edge, where the picture leads the colours; outside the square it stays."""
    across = side / 2 * torch.tensor([np.cos(np.radians(turn)), np.sin(np.radians(turn))], dtype=torch.float64)
    down, middle = torch.stack((-across[1], across[0])), torch.tensor([128.0, 128.0]).double()
    quad = torch.stack((-across - down, down - across, across + down, across - down)) + middle
    known, seen, pasted = torch.ones(1, 1, 256, 256), [], []
    known[..., hole[0], hole[1]] = 0
    times = max(1, round(SIDE / side))
    places = map_points(homography(quad * times, corners(1)), pixel_centres(256 * times, 256 * times))
    inside = ((places > 0) & (places < 1)).all(-1)
    for paint in (0, 255):
        picture = torch.full((3, 256, 256), 128, dtype=torch.uint8)
        picture[:, 64:192, 64:192] = to_uint8(portrait[0])
        picture[:, hole[0], hole[1]] = paint
        seen.append(align(filled(picture, known), quad, size))
        picture = enlarged(picture, times)
        pasted.append(paste(picture, portrait, quad * times, known=align_mask(known, quad, size)))
        assert torch.equal(pasted[-1][:, ~inside], picture[:, ~inside])
    assert torch.equal(*seen) and torch.equal(*(picture[:, inside] for picture in pasted))


@pytest.mark.parametrize("times", [2, 5])
def test_enlarged_in_strips_is_enlarged_at_once(times, monkeypatch):
    monkeypatch.setattr(parts, "STRIP", 20000)
    picture = torch.randint(0, 256, (3, 230, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    whole = torch.nn.functional.interpolate(picture[None].float() / 255, scale_factor=times, mode="bicubic")
    assert (enlarged(picture, times).float() - to_uint8(whole[0]).float()).abs().max() <= 1
    assert enlarged(picture, 1) is picture


@pytest.mark.parametrize("size", [(1, 1), (19, 500), (64, 64)])
def test_no_face(size):
    assert find_faces(torch.full((3, *size), 120, dtype=torch.uint8)) == []
    with pytest.raises(FaceError, match="no face found; upright faces of at least 20 px"):
        chosen([], None, size)


def test_several_faces_by_number(portrait):
    picture = torch.full((3, 400, 500), 90, dtype=torch.uint8)
    for scale, (x, y) in {1: (20, 40), 2: (200, 60)}.items():
        picture[:, y : y + 128 * scale, x : x + 128 * scale] = to_uint8(resize(portrait, 128 * scale, "bicubic"))[0]
    found = find_faces(picture)
    assert [face.box[0] > 200 for face in found] == [True, False]  # the largest first
    assert chosen(found, 2, (400, 500)) == found[1:] and chosen(found, None, (400, 500)) == found
    for number in (0, 3):
        with pytest.raises(FaceError, match=f"no face {number}; found 2"):
            chosen(found, number, (400, 500))


def test_without_the_package_it_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "facenet_pytorch", None)
    detection._detector.cache_clear()
    with pytest.raises(FaceError, match=r"rusr\[faces\]"):
        find_faces(torch.zeros(3, 64, 64, dtype=torch.uint8))
    detection._detector.cache_clear()


def test_what_is_no_picture():
    with pytest.raises(FaceError, match="uint8"):
        find_faces(torch.zeros(3, 64, 64))
    assert FFHQ.wider(2).scale == 2
