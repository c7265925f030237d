"""Compose a portrait from back to front, and develop it: exposure, a soft shoulder, display gamma."""

import torch
from torch import Tensor

from .accessories import paint_band, paint_glasses, paint_hat
from .backdrop import paint_backdrop
from .body import paint_clothes, paint_ears, paint_neck, paint_scarf
from .complexion import hair_colour, skin_colour
from .drawing import Canvas, over
from .face import paint_face
from .factors import Z_DIM, Factors
from .hair import hair_of, paint_before, paint_behind, paint_on_head
from .head import head_of
from .light import light_of
from .textures import SEED, Textures, textures

CHUNK = 8  # portraits at a time: the fields of a chunk stay in a processor's cache
GPU_CHUNK = 512  # a GPU wants few, large steps


def paint(z: Tensor, t: Textures, extra: dict[str, Tensor]) -> Tensor:
    """One chunk: z `[N, Z_DIM]` -> `[N, 3, S, S]` in [0, 1] at the size of the textures.

    Smooth in z, and free of state, so that it can be compiled; `render` is the convenient form.
    """
    f, canvas = Factors(z), Canvas.of_size(t.grain.shape[-1], z.device)
    light, skin, hue = light_of(f), skin_colour(f), hair_colour(f, extra.get("tint"))
    head = head_of(f, canvas, t, extra)
    hair = hair_of(f, head, t)
    picture = paint_backdrop(f, canvas, t)
    picture = over(picture, paint_behind(hair, light, hue), hair.behind)
    picture = paint_neck(f, head, light, picture, skin, t)
    picture = paint_clothes(f, canvas, head, light, picture, skin, t)
    picture = over(picture, paint_before(hair, light, hue), hair.before)
    picture = paint_scarf(f, canvas, head, light, picture, t)
    picture = paint_ears(f, head, light, picture, skin)
    picture = over(picture, paint_face(f, head, light, skin, hue, hair.shadow, t, extra), head.mask)
    if "band" in extra:
        picture = paint_band(head, light, picture, extra)
    picture = over(picture, paint_on_head(hair, light, hue), hair.on_head)
    picture = paint_hat(f, head, hair, light, picture, t)
    picture = paint_glasses(f, head, hair, light, picture)
    return _develop(picture, f.bounded("exposure"))


def _develop(picture: Tensor, exposure: Tensor) -> Tensor:
    picture = picture.clamp_min(0) * (1.05 * torch.exp(0.18 * exposure))[:, None]
    picture = picture * (1 + 0.18 * picture) / (1 + 0.42 * picture)
    return picture.clamp(1e-5, 1) ** (1 / 2.2)


@torch.no_grad()
def render(z: Tensor, size: int = 128, extra: dict[str, Tensor] | None = None, textures_seed: int = SEED) -> Tensor:
    """Factors z `[N, Z_DIM]` -> portraits `[N, 3, size, size]` in [0, 1], on the device of z.

    A portrait does not depend on what else is in the batch. `extra` (see `beyond`) goes beyond the training range;
    `textures_seed` chooses the draw of the fine detail.
    """
    if z.dim() != 2 or z.shape[1] != Z_DIM:
        raise ValueError(f"factors must be [N, {Z_DIM}], got {list(z.shape)}")
    t = textures(size, z.device, textures_seed)
    chunk = CHUNK if z.device.type == "cpu" else GPU_CHUNK
    parts = [{k: v[i : i + chunk].to(z.device) for k, v in (extra or {}).items()} for i in range(0, len(z), chunk)]
    return torch.cat([paint(c.float(), t, e) for c, e in zip(z.split(chunk), parts, strict=True)])


def beyond(seed: int, count: int) -> dict[str, Tensor]:
    """Additions that training never sees: moles, uneven eyes, turns up to 1.6 times as far, head bands, dyed hair."""
    g = torch.Generator().manual_seed(seed)
    draw = torch.rand(7, count, 1, 1, generator=g)
    kind = torch.arange(count).view(-1, 1, 1) % 3
    hue = 6.2832 * draw[4]
    dye = 0.18 + 0.16 * torch.cos(hue[:, None] + torch.tensor((0.0, 2.0944, 4.1888)).view(1, 3, 1, 1))
    return {
        "mole": (draw[0] > 0.4).float(),
        "mole_x": 0.6 * draw[1] - 0.3,
        "mole_y": 0.5 * draw[2] + 0.05,
        "asymmetry": 2 * draw[3] - 1,
        "hue": hue,
        "turn": torch.where(kind == 0, 1.6, 1.0),
        "band": (kind == 1).float(),
        "tint": dye * (kind == 2).float()[:, None],
    }
