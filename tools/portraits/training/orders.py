"""Triplets: a reference, a picture that is nearer to it and one that is further away.

Nobody was asked. The order is taken where it is clear: by the strength within one kind of distortion; by undisputed
ranges across kinds (`distortions.KINDS`); by three published measures, where they agree (MS-SSIM, GMSD and FSIM, of the
package piq); by the length of the step between two edits, behind a minor change of each; by what is the same but for
its fine detail.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tools.portraits.renderer import render
from tools.portraits.renderer.textures import SEED
from tools.portraits.training.distortions import KINDS, PIXEL_KINDS, distort, distort_each
from tools.portraits.training.render_training_set import DRAWS, normalized

# Measures that compare place by place are no witnesses of what moved, nor those of structure of colours and exposure.
WITNESSED = ("blur", "noise", "dead pixels", "JPEG", "down-sampling", "mesh")
SHIFTS = 5  # a minor shift is drawn as often as five kinds: comparing place by place, a net is slow to forgive it
MARGIN = 0.15  # by how much of the larger of two dissimilarities each witness must prefer one picture


@dataclass(frozen=True)
class Triplets:
    """References, nearer and further pictures, `[N, 3, H, W]` in [0, 1] each, and the kind that each is counted as."""

    reference: Tensor
    near: Tensor
    far: Tensor
    kinds: list[str]

    def __len__(self) -> int:
        return len(self.kinds)

    def part(self, chosen: slice | list[int] | Tensor) -> "Triplets":
        """Some of them."""
        rows = torch.arange(len(self))[chosen]
        return Triplets(self.reference[rows], self.near[rows], self.far[rows], [self.kinds[i] for i in rows.tolist()])

    def to(self, device: torch.device) -> "Triplets":
        """The same on another device."""
        return Triplets(self.reference.to(device), self.near.to(device), self.far.to(device), self.kinds)

    def renamed(self, kind: str) -> "Triplets":
        """The same, all counted as one kind."""
        return replace(self, kinds=[kind] * len(self))


def joined(parts: list[Triplets]) -> Triplets:
    """All triplets of several sets."""
    pictures = (torch.cat([getattr(p, name) for p in parts]) for name in ("reference", "near", "far"))
    return Triplets(*pictures, [kind for p in parts for kind in p.kinds])


def _uniform(ranges: list[tuple[float, float]], g: torch.Generator) -> Tensor:
    low, high = torch.tensor(ranges).unbind(1)
    return low * (high / low) ** torch.rand(len(ranges), generator=g)


def _choose(names: tuple[str, ...], count: int, g: torch.Generator) -> list[str]:
    return [names[i] for i in torch.randint(len(names), (count,), generator=g).tolist()]


def within_kinds(x: Tensor, seed: int) -> Triplets:
    """One kind for both pictures, the further one 1.3 to 4 times as strong (as far as its scale goes); the same draw
    for both in half of the batch."""
    g = torch.Generator().manual_seed(seed)
    kinds = _choose(PIXEL_KINDS, len(x), g)
    strong = _uniform([KINDS[k].scale for k in kinds], g)
    ratio = _uniform([(1.3, 4.0)] * len(x), g)
    falling = torch.tensor([KINDS[k].scale[0] > KINDS[k].scale[1] for k in kinds])  # JPEG's quality
    weak = torch.where(falling, strong * ratio, strong / ratio)
    far = distort_each(x, kinds, strong, seed)
    near = distort_each(x, kinds, weak, seed + torch.randint(2, (), generator=g).item())
    return Triplets(x, near, far, kinds)


def across_ranges(x: Tensor, seed: int) -> Triplets:
    """Two kinds, one in a lower range than the other: minor, moderate, severe."""
    g = torch.Generator().manual_seed(seed)
    pairs = [("minor", "moderate"), ("minor", "severe"), ("moderate", "severe")]
    chosen = [pairs[i] for i in torch.randint(3, (len(x),), generator=g).tolist()]
    pictures = []
    for side in (0, 1):
        kinds = []
        for pair in chosen:
            known = tuple(k for k in PIXEL_KINDS if getattr(KINDS[k], pair[side]) is not None)
            kinds += _choose(known + ("shift",) * (SHIFTS - 1) * (pair[side] == "minor"), 1, g)
        strength = _uniform([getattr(KINDS[k], pair[side]) for k, pair in zip(kinds, chosen, strict=True)], g)
        pictures.append(distort_each(x, kinds, strength, seed + side))
    return Triplets(x, *pictures, [f"{low} < {high}" for low, high in chosen])


def witnesses(x: Tensor, y: Tensor) -> Tensor:
    """Dissimilarities `[3, N]` of two batches by MS-SSIM, GMSD and FSIM; 0 for equal pictures."""
    import piq  # in the extra `training`: restorations need none of it

    y = y.clamp(0, 1)
    return torch.stack(
        [
            1 - piq.multi_scale_ssim(x, y, kernel_size=7, data_range=1.0, reduction="none"),
            piq.gmsd(x, y, data_range=1.0, reduction="none"),
            1 - piq.fsim(x, y, data_range=1.0, reduction="none"),
        ]
    )


def agreed(x: Tensor, seed: int) -> Triplets:
    """Two kinds at any strength, kept where all witnesses clearly prefer the same picture; fewer than x."""
    g = torch.Generator().manual_seed(seed)
    pictures = []
    for side in (0, 1):
        kinds = _choose(WITNESSED, len(x), g)
        pictures.append(distort_each(x, kinds, _uniform([KINDS[k].scale for k in kinds], g), seed + side))
    first, second = (witnesses(x, y) for y in pictures)
    apart = (second - first) / torch.maximum(first, second).clamp_min(1e-4)
    further, nearer = (apart > MARGIN).all(0), (apart < -MARGIN).all(0)
    flip = nearer[:, None, None, None]
    near, far = torch.where(flip, pictures[1], pictures[0]), torch.where(flip, pictures[0], pictures[1])
    found = Triplets(x, near, far, ["witnesses"] * len(x))
    return found.part((further | nearer).cpu())


def minor_change(x: Tensor, seed: int) -> Tensor:
    """What a viewer hardly minds, drawn for each picture: a minor range of some kind."""
    g = torch.Generator().manual_seed(seed)
    kinds = _choose(tuple(k for k in PIXEL_KINDS if KINDS[k].minor is not None), len(x), g)
    return distort_each(x, kinds, _uniform([KINDS[k].minor for k in kinds], g), seed)


def edited(z: Tensor, step: Tensor, g: torch.Generator, textures_seed: int = SEED) -> Tensor:
    """Portraits whose factors z `[N, Z_DIM]` were moved by steps of these lengths `[N]` in random directions."""
    move = step[:, None] * torch.randn(z.shape, generator=g)
    return render(normalized(z + move.to(z.device)), textures_seed=textures_seed)


def edits(z: Tensor, seed: int) -> Triplets:
    """Two edits in random directions, the further one 1.4 to 3 times as long, each behind a minor change; the fine
    detail of all three pictures is one draw."""
    g = torch.Generator().manual_seed(seed)
    near = _uniform([(0.15, 0.5)] * len(z), g)
    far = near * _uniform([(1.4, 3.0)] * len(z), g)
    draw = SEED + 1 + seed % DRAWS
    pictures = [minor_change(edited(z, step, g, draw), seed + i) for i, step in enumerate((near, far))]
    return Triplets(render(z, textures_seed=draw), *pictures, ["edit < longer edit"] * len(z))


def edits_against_distortions(z: Tensor, seed: int) -> Triplets:
    """A minor change is nearer than a long edit, and a short edit is nearer than a severe distortion."""
    g = torch.Generator().manual_seed(seed)
    half, draw = len(z) // 2, SEED + 1 + seed % DRAWS
    x = render(z, textures_seed=draw)
    long = edited(z[:half], _uniform([(0.5, 1.5)] * half, g), g, draw)
    short = edited(z[half:], _uniform([(0.05, 0.15)] * (len(z) - half), g), g, draw)
    known = tuple(k for k in PIXEL_KINDS if KINDS[k].severe is not None)
    kinds = _choose(known, len(short), g)
    spoiled = distort_each(x[half:], kinds, _uniform([KINDS[k].severe for k in kinds], g), seed)
    near, far = torch.cat([minor_change(x[:half], seed), short]), torch.cat([long, spoiled])
    return Triplets(x, near, far, ["minor < edit"] * half + ["edit < severe"] * len(short))


def redrawn(z: Tensor, seed: int) -> Triplets:
    """The same portrait with another draw of its fine detail is nearer than an edit that keeps the draw."""
    g = torch.Generator().manual_seed(seed)
    draw = SEED + 1 + seed % DRAWS
    step = _uniform([(0.4, 1.2)] * len(z), g)
    same = render(z, textures_seed=draw + 1)
    return Triplets(render(z, textures_seed=draw), same, edited(z, step, g, draw), ["fine detail < edit"] * len(z))


def as_far(
    x: Tensor, change: Callable[[Tensor], Tensor], wanted: Tensor, bounds: tuple[float, float], rounds: int
) -> Tensor:
    """Pictures `[N, 3, H, W]` changed by just that strength, between the `bounds`, at which the mean absolute
    difference from `x` reaches `wanted` `[N]`; `change(strength)` makes them, and `rounds` halvings find it."""
    low, high = (torch.full((len(x),), bound) for bound in bounds)
    for _ in range(rounds):
        middle = (low * high).sqrt()
        less = ((change(middle) - x).abs().mean((1, 2, 3)) < wanted).cpu()
        low, high = torch.where(less, middle, low), torch.where(less, high, middle)
    return change(high)


def equal_l1(x: Tensor, seed: int) -> Triplets:
    """A shift or a warp of few pixels against a blur of the same mean absolute difference, which takes the face away
    long before a shift is noticed."""
    g = torch.Generator().manual_seed(seed)
    moved = distort_each(x, _choose(("shift", "warp"), len(x), g), _uniform([(0.7, 3.0)] * len(x), g), seed)
    wanted = (moved - x).abs().mean((1, 2, 3))
    blurred = as_far(x, lambda strength: distort_each(x, ["blur"] * len(x), strength, seed), wanted, (0.3, 12.0), 8)
    return Triplets(x, moved, blurred, ["equal L1"] * len(x))


def shift_against_blur(x: Tensor, seed: int) -> Triplets:
    """A shift of few pixels is nearer than a blur of so many pixels or somewhat more."""
    g = torch.Generator().manual_seed(seed)
    pixels = _uniform([(1.0, 2.5)] * len(x), g)
    more = _uniform([(1.0, 1.5)] * len(x), g)
    moved = distort_each(x, ["shift"] * len(x), pixels, seed)
    blurred = distort_each(x, ["blur"] * len(x), pixels * more, seed)
    return Triplets(x, moved, blurred, ["shift < blur"] * len(x))


def named_cases(x: Tensor) -> Triplets:
    """What once fooled our judges: a shift that nobody sees, a blur, a fine mesh, and a face that is blurred away."""
    count, g = len(x), torch.Generator().manual_seed(0)
    shifted, blurred, gone = (
        distort(x, kind, torch.full((count,), strength), g)
        for kind, strength in (("shift", 2.0), ("blur", 2.0), ("blur", 8.0))
    )
    line = torch.arange(x.shape[-1], device=x.device)
    meshed = (x + 0.15 * ((line[:, None] + line) % 2 * 2 - 1)).clamp(0, 1)
    pairs = {
        "2 px shift < 2 px blur": (shifted, blurred),
        "2 px shift < mesh": (shifted, meshed),
        "mesh < blurred away": (meshed, gone),
    }
    return joined([Triplets(x, near, far, [name] * count) for name, (near, far) in pairs.items()])
