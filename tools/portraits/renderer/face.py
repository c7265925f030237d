"""Paint the face: skin, blush, freckles, lips, beard, brows, shadows, mouth; the eyes are in `eyes.py`."""

import torch
from torch import Tensor

from .complexion import melanin
from .drawing import bump, constant, mix, opponent_colour, over, rgb, smoothstep
from .eyes import paint_eyes
from .factors import Factors
from .head import Head
from .light import SKIN_WRAP, Light, shade
from .textures import Textures


def _skin(f: Factors, head: Head, skin: Tensor, t: Textures) -> Tensor:
    """Albedo with grain, blush, freckles and the darker skin round the eyes."""
    p, x, y, side = head.shape, head.x, head.y, head.side
    albedo = skin * (1 + 0.030 * t.grain + 0.030 * t.blotch)[:, None]
    blush = 0.10 + 0.40 * f.uniform("blush") * (1 - 0.6 * melanin(f))
    blush = blush * bump((side - 0.30) / 0.13, (y - p.nose_y + 0.06) / 0.10)
    blush = blush + 0.22 * bump(x / 0.07, (y - p.nose_y + 0.01) / 0.05)
    blush = blush + 0.10 * bump(x / 0.15, (y - p.chin_y) / 0.08)
    albedo = albedo * rgb(1 + 0.05 * blush, 1 - 0.40 * blush, 1 - 0.34 * blush)
    where = bump((side - 0.22) / 0.17, (y - p.nose_y + 0.08) / 0.11)
    where = (where + 0.4 * bump(x / 0.3, (y - p.eye_y + 0.3) / 0.12)).clamp(max=1)
    spots = 0.42 * smoothstep(0.55, 1.0, f.uniform("freckles")) * (1 - 0.6 * melanin(f)) * t.freckles * where
    albedo = albedo * (1 - spots)[:, None] ** constant((0.6, 1.0, 1.3), albedo)
    tired = (0.16 + 0.22 * p.age) * bump((side - 0.9 * p.eye_x) / 0.10, (head.eye_v - 0.055) / 0.035)
    tired = tired + 0.10 * bump((side - p.eye_x) / 0.12, (head.eye_v + 0.05) / 0.05)
    return albedo * (1 - tired)[:, None] ** constant((0.8, 1.0, 0.95), albedo)


def makeup(f: Factors) -> Tensor:
    """0 none .. 1, `[N, 1, 1]`."""
    return smoothstep(0.45, 1.0, f.uniform("makeup")) * f.feminine


def _lips(f: Factors, head: Head, albedo: Tensor, skin: Tensor) -> Tensor:
    made, red = makeup(f), 0.5 + 0.5 * f.bounded("lip_col")
    natural = skin * rgb(0.88 + 0.10 * red, 0.52 - 0.12 * red, 0.56 - 0.06 * red)
    stick = constant((0.42, 0.035, 0.06), skin) * (1.3 - 0.8 * melanin(f))[:, None]
    colour = mix(natural, stick, (0.75 * made * (0.4 + 0.6 * red))[:, None])
    creases = 1 + 0.10 * torch.sin(120 * head.x + 3 * torch.sin(40 * head.y)) * head.mouth.envelope
    return over(albedo, colour * creases[:, None], head.mouth.lips * (0.75 + 0.25 * f.feminine))


def beard_density(f: Factors, head: Head, t: Textures) -> Tensor:
    """Coverage of the skin by beard and moustache, `[N, S, S]`."""
    p, m, side, y = head.shape, head.mouth, head.side, head.y
    strength = torch.sigmoid(1.4 * f.raw("beard") + 2.5 * (0.42 - f.feminine) - 0.3)
    amount = smoothstep(0.42, 0.95, strength) * torch.sqrt(1 - f.feminine)
    border = p.mouth_y + 0.02 - 1.30 * (side - 0.19).clamp(0, 0.40) + 0.06 * (0.19 - side).clamp_min(0)
    jaw = smoothstep(0.0, 0.13, y - border) * (1 - 0.85 * bump(head.x / 0.13, (y - m.lower_edge - 0.02) / 0.028))
    lip = bump(head.x / (0.85 * p.mouth_width), (y - m.upper_edge + 0.030) / 0.024)
    lip = lip * smoothstep(0.0, 0.5, 1.4 * f.uniform("moustache"))
    where = (jaw + lip).clamp(max=1) * (1 - m.lips) * (1 - m.gap)
    return (amount * where * (0.93 + 0.08 * t.stubble)).clamp(0, 0.97)


def _brows(f: Factors, head: Head) -> Tensor:
    """Mask of the eyebrows."""
    p = head.shape
    u = (head.side - 0.98 * p.eye_x) / (1.45 * p.eye_width)
    arch = (0.028 + 0.016 * f.bounded("brow_arch")) * (1 - (u - 0.25) ** 2).clamp(-1.5, 1)
    centre = -0.106 - 0.022 * f.bounded("brow_h") - 0.040 * f.bounded("brow_raise") - 0.012 * f.feminine - arch
    thickness = 0.023 * torch.exp(0.32 * f.bounded("brow_thick") + 0.35 * (0.5 - f.feminine))
    thickness = thickness * (1 - 0.50 * smoothstep(-0.2, 1.1, u))
    hairs = 0.07 * torch.sin(34 * u + 30 * (head.eye_v - centre))
    body = smoothstep(1.35, 0.45, ((head.eye_v - centre) / thickness).abs() + hairs)
    return body * smoothstep(-1.12, -0.80, u) * smoothstep(1.12, 0.75, u)


def _occlusion(f: Factors, head: Head, light: Light) -> Tensor:
    """Light kept out by sockets, nose, lips, folds and the turning edge; 1 is open."""
    p, m, x, y, side = head.shape, head.mouth, head.x, head.y, head.side
    ao = 1 - 0.34 * bump((side - 0.80 * p.eye_x) / 0.10, (head.eye_v + 0.035) / 0.045)
    ao = ao * (1 - 0.26 * bump(x / (0.075 * p.nose_width), (y - p.nose_y - 0.056) / 0.024))
    ao = ao * (1 - 0.22 * bump(x / 0.10, (y - m.lower_edge - 0.025) / 0.022))
    ao = ao * (1 - 0.20 * bump((side - 0.118 * p.nose_width) / 0.018, (y - p.nose_y - 0.002) / 0.035))
    ao = ao * (1 - (0.10 * p.smiling + 0.07 * p.age) * head.fold)
    ao = ao * (1 - 0.22 * smoothstep(0.80, 1.0, head.surface.q))
    ao = ao * (1 - 0.26 * smoothstep(0.70, 1.02, y / p.length))
    cast = bump(
        (x + 0.075 * torch.tanh(2.2 * light.x)) / (0.045 * p.nose_width),
        (y - p.nose_y + 0.05 * light.y) / 0.06,
    )
    cast = cast * torch.tanh(2 * light.x.abs()) * (1 - 0.8 * bump(x / 0.05))
    ao = ao * (1 - 0.40 * cast * light.ratio)
    return ao * (1 - 0.40 * bump(x / 0.07, (y - p.nose_y - 0.085) / 0.03) * (-light.y).clamp_min(0))


def _mouth_inside(head: Head, face: Tensor, light: Light) -> Tensor:
    """Teeth and shadow between parted lips, the line between closed ones."""
    m, p = head.mouth, head.shape
    down = ((head.y - m.upper_inside) / (m.opening + 1e-3)).clamp(0, 1)
    teeth = smoothstep(0.88, 0.55, down) * (0.45 + 0.55 * p.smiling.clamp(max=1))
    teeth = teeth * (1 - 0.6 * m.across**2).clamp_min(0) * (0.90 + 0.10 * torch.cos(120 * head.x))
    inside = (0.72 * teeth * (0.5 + 0.5 * light.key_strength))[:, None] * constant((1.0, 0.95, 0.86), face)
    inside = (inside + constant((0.05, 0.012, 0.012), face)) * (0.60 + 0.40 * smoothstep(0, 0.30, down))[:, None]
    line = bump((head.y - m.line) / (0.010 - 0.003 * p.parted)) * smoothstep(0.0, 0.25, 1.12 - m.across**2)
    face = face * (1 - 0.70 * line * (1 - 0.6 * m.gap))[:, None]
    return over(face, inside, m.gap)


def paint_face(
    f: Factors, head: Head, light: Light, skin: Tensor, hair: Tensor, shadow: Tensor, t: Textures, extra: dict
) -> Tensor:
    """Colours `[N, 3, S, S]` of the face; `shadow` is what the hair casts on it, `extra` may hold a mole."""
    p, made = head.shape, makeup(f)
    albedo = _skin(f, head, skin, t)
    tone = opponent_colour(0.25 + 0 * made, 0.8 * f.raw("iris_hue"), -0.8 * f.raw("iris_light"))
    albedo = over(albedo, tone.expand_as(albedo), 0.45 * made * bump(head.eye_u / 0.9, (head.eye_v + 0.055) / 0.028))
    albedo = _lips(f, head, albedo, skin)
    beard = beard_density(f, head, t)
    albedo = over(albedo, 0.85 * hair * torch.exp(0.25 * t.stubble)[:, None], beard)
    brows = _brows(f, head)
    albedo = over(albedo, (0.70 * hair + 0.02 * skin).expand_as(albedo), 0.9 * brows)
    if "mole" in extra:
        spot = bump((head.x - extra["mole_x"]) / 0.016, (head.y - extra["mole_y"]) / 0.016)
        albedo = albedo * (1 - 0.8 * extra["mole"] * spot)[:, None]
    gloss = (
        (0.055 + 0.05 * f.uniform("blush"))
        * (1 - 0.8 * beard)
        * (1 - brows)
        * (0.7 + 0.3 * melanin(f) + 0.12 * t.grain)
    )
    gloss = gloss + 0.12 * head.mouth.lips * (0.4 + 0.6 * made)
    face = shade(light, albedo, head.normal, _occlusion(f, head, light) * shadow, gloss, 15.0, SKIN_WRAP)
    nostril_x = (head.side - 0.043 * p.nose_width) / (0.020 * p.nose_width)
    face = face * (1 - 0.80 * bump(nostril_x, (head.y - p.nose_y - 0.034) / 0.0125))[:, None]
    face = _mouth_inside(head, face, light)
    return paint_eyes(f, head, light, face, hair, made)
