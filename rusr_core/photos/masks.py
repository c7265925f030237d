"""A photograph's mask: it goes the way of the photograph, and it is compared with what it hides."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from rusr_core.degradations.mask_files import NEAR
from rusr_core.images import fit_image, in_words
from rusr_core.limits import MAX_COUNT, MAX_SIDE, sides_of
from rusr_core.parts import strips
from rusr_core.photos.align import FINER, AlignError, corners, homography, map_points, pixel_centres, side_of
from rusr_core.photos.holes import grown

FLAT = 3 / 255  # a pixel this near to the median colour belongs to a painted area, in a lossy file, too
BLOCK = 8  # px, of JPEG
GREY = 128
MOST = 0.98  # share of the pixels


def _check_known(known: Tensor) -> None:
    if not isinstance(known, Tensor) or known.dim() != 4 or known.shape[:2] != (1, 1) or not known.numel():
        raise AlignError(f"expected a mask [1, 1, H, W], got {in_words(known)}")


def fit_mask(known: Tensor, size: tuple[int, int], fit: str | None) -> Tensor:
    """The mask `[1, 1, H, W]` of a picture after `fit_image(picture, size, fit)`: `[1, 1, h, w]` of 0 and 1.

    A pixel is known if all pixels are that its value was made of (2 px on either side of its centre at the scale of
    the resizing, the reach of the bicubic kernel). Bars are hidden: nothing is known of what was there.
    Raises `AlignError` for a size or a mask that is none.
    """
    _check_known(known)
    size = sides_of(size, MAX_COUNT, AlignError)
    if known.shape[-2:] == size:
        return known
    ratios = [have / want for have, want in zip(known.shape[-2:], size, strict=True)]
    scale = max(ratios) if fit == "pad" else min(ratios)
    whole = all(ratio == int(ratio) for ratio in ratios) and ratios[0] == ratios[1]  # means of whole blocks
    reach = math.ceil(scale / 2) if whole else math.ceil(2 * max(1, scale))
    hidden = grown((known < 1 - NEAR)[0, 0].numpy(), reach)
    return fit_image(torch.from_numpy(~hidden)[None, None].float(), size, fit, mode="nearest")


def align_mask(known: Tensor, quad: Tensor, size: tuple[int, int]) -> Tensor:
    """The mask `[1, 1, H, W]` of a photograph after `align(photograph, quad, size)`: `[1, 1, h, w]` of 0 and 1.

    A pixel is known if all pixels are that its value was made of (2 px on either side at the scale of the resizing).
    Of what lies outside the photograph nothing is known. Raises `AlignError` for a size or a mask that is none.
    """
    _check_known(known)
    height, width = sides_of(size, MAX_SIDE, AlignError)
    reach = math.ceil(2 * max(1.0, side_of(quad) / min(height, width)))
    corner = (quad.amin(0).floor().long() - reach).clamp(min=0)
    left, upper = corner.tolist()
    right, lower = (quad.amax(0).ceil().long() + reach + 1).clamp(min=1).tolist()
    hidden = known[0, 0, upper:lower, left:right] < 1 - NEAR
    if not hidden.numel():
        return known.new_zeros(1, 1, height, width)
    hidden = torch.from_numpy(grown(hidden.numpy(), reach))
    back = homography(corners(FINER * width, FINER * height), quad.double() - corner)
    columns, rows = map_points(back, pixel_centres(FINER * height, FINER * width)).floor().long().unbind(-1)
    inside = (columns >= 0) & (columns < hidden.shape[1]) & (rows >= 0) & (rows < hidden.shape[0])
    fine = torch.ones_like(columns, dtype=known.dtype)
    fine[inside] = hidden[rows[inside], columns[inside]].to(known)
    return 1 - F.max_pool2d(fine[None, None], FINER)


def filled(picture: Tensor, known: Tensor) -> Tensor:
    """A photograph `[3, H, W]`, uint8, whose hidden pixels show the nearest known colour of their row, grey in a row
    without any: what `align` makes of it does not depend on what the mask `[1, 1, H, W]` hides.

    Without that, white paint brightens what lies around it, by a few of 255. AlignError for a mask of another size.
    """
    _check_known(known)
    if known.shape[-2:] != picture.shape[-2:]:
        raise AlignError(f"expected a mask {[1, 1, *picture.shape[-2:]]} for this picture, got {in_words(known)}")
    height, width = picture.shape[-2:]
    result, columns = picture, np.arange(width)
    for rows, _ in strips(height, width):
        shown = (known[0, 0, rows] >= 1 - NEAR).numpy()
        if shown.all():
            continue
        result = picture.clone() if result is picture else result
        left = np.maximum.accumulate(np.where(shown, columns, -width), 1)
        right = np.minimum.accumulate(np.where(shown, columns, 2 * width)[:, ::-1], 1)[:, ::-1]
        nearest = np.where(columns - left <= right - columns, left, right)
        taken = torch.from_numpy(nearest.clip(0, width - 1)).expand(3, -1, -1)
        result[:, rows] = picture[:, rows].gather(2, taken)
        result[:, rows][:, torch.from_numpy(~shown.any(1))] = GREY
    return result


def doubts(known: Tensor, y: Tensor) -> list[str]:
    """What is odd about a mask `[1, 1, h, w]` for the picture y `[1, 3, h, w]`; sentences, none if all is well.

    An inverted mask shows the painted hole, one flat colour, and hides the rest.
    """
    if known.min() > 1 - NEAR:
        return ["the mask hides nothing: all of the picture is known"]
    if known.max() < NEAR:
        return ["the mask hides everything: the result is an invention that nothing holds to the picture"]
    shown = known > 0.5
    inner = F.max_pool2d((~shown).float(), 2 * BLOCK + 1, 1, BLOCK) == 0  # beyond what a lossy file blurs at the edge
    inner = inner if inner.any() else shown
    if _flat(y, inner.expand_as(y)) and not _flat(y, (~shown).expand_as(y)):
        return ["the picture is one flat colour wherever the mask shows it; if the mask is inverted: --invert-mask"]
    return []


def _flat(y: Tensor, where: Tensor) -> bool:
    """Whether most pixels of one picture are of one colour where `where` is true."""
    values = y[where].view(y.shape[1], -1)
    if not values.shape[1]:
        return False
    near = (values - values.median(1, keepdim=True).values).abs() < FLAT
    return bool(near.all(0).float().mean() > MOST and torch.isfinite(values).all())
