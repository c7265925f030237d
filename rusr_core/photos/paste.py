"""A face goes back where it was cut out of a photograph; all pixels outside its square stay as they are, to the bit."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core.degradations.mask_files import NEAR
from rusr_core.images import resize, to_uint8
from rusr_core.limits import MAX_SIDE, check_whole
from rusr_core.parts import strips
from rusr_core.photos.align import (
    AlignError,
    align,
    check_picture,
    corners,
    gaussian_blur,
    homography,
    map_points,
    pixel_centres,
    sample,
    side_of,
)

FEATHER = 0.08  # width of the seam, in sides of the square
MATCH = 0.25  # how far into the square the colour of the seam is led, in sides
SMOOTH = 0.08  # standard deviation of the Gaussian that smooths it, in sides
BICUBIC = 2  # px on either side of a place that have a part in its value
FINEST = 16  # samples a pixel, in both directions, at most
ALIGNED = 5  # px of either picture, at most: how far `align` takes a pixel from where it lies
LEAST = 1e-12  # weight of what is known around a pixel
MOST = 0.2  # of a colour's change: what differs by more is a hole or an edge, no cast


def paste(picture: Tensor, image: Tensor, quad: Tensor, *, match: bool = True, known: Tensor | None = None) -> Tensor:
    """A picture `[3, H, W]`, uint8, with the upright `image` `[1, 3, R, R]` in [0, 1] in the square `quad` `[4, 2]`.

    The inverse of `photos.align.align`, at the resolution of the picture: bicubic, antialiased where the picture is
    the coarser one. The edge of the square is feathered, and with `match` the colours there follow the picture's.
    `known` `[1, 1, h, w]` is the mask of the square, upright, as `photos.masks.align_mask` gives it: where it is 0, the
    image replaces all, to the edge of the square, and what the picture shows there leads no colour.
    Returns a new picture; pixels whose centres lie outside the square are those of `picture`, bit by bit.
    """
    result = picture.clone()
    paste_into(result, image, quad, match=match, known=known)
    return result


def paste_into(
    picture: Tensor, image: Tensor, quad: Tensor, *, match: bool = True, known: Tensor | None = None
) -> None:
    """What `paste` does, in `picture` itself: of 100 megapixels, a copy is 0.3 GB."""
    image = image.cpu()
    hidden = None if known is None else _hidden(known.cpu(), image)
    if match:
        reach = ALIGNED * (1 + math.ceil(image.shape[-1] / side_of(quad)))
        beside = hidden if hidden is None else F.max_pool2d(hidden, 2 * reach + 1, 1, reach)
        image = match_colours(image, align(picture, quad, tuple(image.shape[-2:])), beside)
    low = quad.amin(0).floor().long().clamp(min=0).tolist()
    high = quad.amax(0).ceil().long().tolist()
    there = (slice(low[1], max(high[1], 0)), slice(low[0], max(high[0], 0)))
    old = picture[:, *there]
    if not old.numel():
        return
    finer = min(max(1, math.ceil(2 * image.shape[-1] / side_of(quad))), FINEST)
    image = resize(image, (2 * image.shape[-2], 2 * image.shape[-1]), "lanczos")  # far below the limit of sampling
    for rows in _bands(old.shape[1], old.shape[2], finer):
        below = quad.double() - quad.new_tensor(low) - quad.new_tensor([0, rows.start])
        band = old[:, rows]
        band.copy_(_mixed(band, image, homography(below, corners(1)), finer, hidden))


def _hidden(known: Tensor, image: Tensor) -> Tensor:
    """Where a mask `[1, 1, h, w]` hides anything of an `image` `[1, 3, R, R]`, `[1, 1, R, R]` of 0 and 1.

    A pixel of the mask more: a picture that was enlarged shows its hole a little wider.
    """
    hidden = F.max_pool2d((known < 1 - NEAR).float(), 3, 1, 1)
    return F.interpolate(hidden, tuple(image.shape[-2:]), mode="nearest-exact")


def _bands(height: int, width: int, finer: int) -> list[slice]:
    """The rows that are pasted at once: all where a pixel is made of several samples, whose filter would be cut."""
    if finer > 1:
        return [slice(0, height)]
    return [slice(rows.start, rows.stop) for rows, _ in strips(height, width)]


def _mixed(old: Tensor, image: Tensor, to_unit: Tensor, finer: int, hidden: Tensor | None) -> Tensor:
    """The pixels `[3, h, w]`, uint8, with `image` over them; `to_unit`: from them into the unit square."""
    places = map_points(to_unit, pixel_centres(*old.shape[1:]))
    weight = feather(places)
    if hidden is not None:
        there = F.grid_sample(hidden, (2 * places - 1)[None].float(), "nearest", align_corners=False)[0, 0]
        weight = torch.maximum(weight, there * (_depth(places) > 0))
    new = _unaligned(image, to_unit, finer, tuple(old.shape[1:]))
    mixed = to_uint8(old.float() / 255 * (1 - weight) + new * weight)
    return torch.where(weight > 0, mixed, old)


def _unaligned(image: Tensor, to_unit: Tensor, finer: int, size: tuple[int, int]) -> Tensor:
    """`image` `[1, 3, 2 R, 2 R]` as the picture's pixels see it, `[3, h, w]`, each of `finer` x `finer` samples."""
    places = map_points(to_unit, pixel_centres(finer * size[0], finer * size[1]) / finer)
    fine = sample(image.clamp(0, 1), places * places.new_tensor([image.shape[-1], image.shape[-2]]))
    return (resize(fine, size, "lanczos").clamp(0, 1) if finer > 1 else fine)[0]


def feather(places: Tensor) -> Tensor:
    """The weight of a pasted square at places `[h, w, 2]` of the unit square: `[h, w]`, 0 outside, 1 well inside."""
    return _smoothstep(_depth(places) / FEATHER).float()


def match_colours(image: Tensor, before: Tensor, hidden: Tensor | None = None) -> Tensor:
    """`image` `[1, 3, R, R]` with the smooth colour of `before`, the same square of the picture, at its edge.

    The difference of both is averaged along the edge and fades out towards the middle: there the restored colours stay.
    Where `hidden` `[1, 1, R, R]` is 1, nothing is compared.
    """
    places = pixel_centres(*image.shape[-2:]) / image.shape[-1]
    depth = _depth(places)
    band = (_smoothstep(depth / FEATHER) * (1 - _smoothstep(depth / (2 * FEATHER))) + 1e-4).to(image)[None, None]
    band = band if hidden is None else band * (1 - hidden)
    sigma = SMOOTH * image.shape[-1]
    spread = gaussian_blur(torch.cat(((before - image) * band, band), 1), sigma, max(1, int(3 * sigma)))
    cast = (spread[:, :3] / spread[:, 3:].clamp_min(LEAST)).clamp(-MOST, MOST)  # none, where all around is hidden
    return (image + cast * (1 - _smoothstep(depth / MATCH)).to(image)).clamp(0, 1)


def enlarged(picture: Tensor, times: int) -> Tensor:
    """A picture `[3, H, W]`, uint8, with its sides so many times as long, bicubic, in strips to save memory."""
    check_picture(picture)
    check_whole("times", times, 1, MAX_SIDE, AlignError)
    if times == 1:
        return picture
    height, width = picture.shape[1:]
    result = picture.new_empty(height * times, width * times, 3).permute(2, 0, 1)  # as a file's pixels lie
    for rows, own in strips(height, width * times**2, BICUBIC):
        strip = F.interpolate(picture[None, :, rows].float() / 255, scale_factor=times, mode="bicubic")
        new = to_uint8(strip[0, :, times * own.start : times * own.stop])
        top = times * (rows.start + own.start)
        result[:, top : top + new.shape[1]] = new
    return result


def _depth(places: Tensor) -> Tensor:
    """How far inside the unit square places `[..., 2]` lie: 0 on its edge, 0.5 in the middle, negative outside."""
    return torch.minimum(places, 1 - places).amin(-1)


def _smoothstep(t: Tensor) -> Tensor:
    t = t.clamp(0, 1)
    return t * t * (3 - 2 * t)
