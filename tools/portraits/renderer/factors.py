"""The factors of a portrait: what each one means, and how independent standard normal numbers become them.

A portrait is a vector z of `Z_DIM` numbers: first the identity (who it is), then the nuisance (how the
picture was taken). Every factor is standard normal; a part of the renderer reads it as

    bounded   tanh(0.6 z)   in (-1, 1), for sizes, positions and angles
    uniform   cdf(z)        in (0, 1), for amounts, of which each is equally likely
    gate      sigmoid(25 (z - threshold)), in (0, 1), nearly 0 or 1, for things that are there or not
"""

import math

import torch
from torch import Tensor

IDENTITY = {
    "gender": "from masculine to feminine: jaw, brows, lips, length of hair and beard follow it",
    "face_w": "width of the head, 7 % either way",
    "face_l": "length of the head, 6 %",
    "jaw": "width of the jaw, 13 %",
    "chin": "width and relief of the chin",
    "cheek": "relief of the cheek bones",
    "hairline": "height of the hairline",
    "eye_gap": "distance between the eyes, 4 %",
    "eye_size": "width of the eyes, 12 %",
    "eye_tilt": "slant of the eyes",
    "eye_shape": "height of the eyes",
    "iris_light": "uniform: dark below 0.4, then blue or green",
    "iris_hue": "uniform: from brown to hazel, from blue to green",
    "brow_thick": "thickness of the eyebrows",
    "brow_arch": "curvature of the eyebrows",
    "brow_h": "height of the eyebrows",
    "nose_l": "length of the nose, 12 %",
    "nose_w": "width of the nose, 22 %",
    "nose_tip": "relief of the tip",
    "nose_bridge": "relief of the bridge",
    "mouth_w": "width of the mouth, 12 %",
    "lip_up": "height of the upper lip, 28 %",
    "lip_lo": "height of the lower lip, 26 %",
    "mouth_y": "distance from nose to mouth, 10 %",
    "lip_col": "redness of the lips",
    "melanin": "uniform: from light to dark skin; dark skin comes with darker hair and eyes",
    "undertone": "from cool to warm skin",
    "blush": "uniform: red of the cheeks, shine",
    "freckles": "uniform: none below 0.55",
    "age": "uniform: wrinkles, folds, grey hair",
    "hair_dark": "uniform: from blond to black",
    "hair_red": "uniform: red from 0.5 up",
    "hair_grey": "uniform: grey together with age",
    "hair_vol": "uniform: thickness of the hair over the head",
    "hair_len": "length of the hair, together with gender",
    "hair_wave": "uniform: from straight to wavy strands",
    "hair_part": "side and extent of the parting",
    "fringe": "from a bare to a covered forehead",
    "beard": "amount of beard, masculine faces only",
    "moustache": "uniform: amount of moustache, where there is a beard",
    "glasses": "gate at 0.85: one in five wears glasses",
    "glasses_shape": "from round to wide and square",
    "glasses_col": "uniform: colour and thickness of the rims",
    "ears": "size of the ears, 16 %",
    "neck": "width of the neck, 10 %",
    "makeup": "uniform: shadow, lashes and lipstick, feminine faces",
}
NUISANCE = {
    "yaw": "turn of the head, 0.34 rad at most",
    "pitch": "nod, 0.12 rad",
    "roll": "what alignment leaves of the tilt, 0.03 rad",
    "scale": "what alignment leaves of the size, 2.5 %",
    "light_x": "azimuth of the key light, 1 rad",
    "light_y": "elevation of the key light",
    "light_ratio": "key light against ambient light",
    "light_warm": "colour of the key light",
    "rim": "uniform: light from behind",
    "exposure": "exposure, 18 %",
    "smile": "from a sad to a smiling mouth",
    "mouth_open": "uniform: open with visible teeth from 0.35 up",
    "squint": "uniform: lids closing by 42 % at most",
    "gaze_x": "direction of the eyes",
    "gaze_y": "direction of the eyes",
    "brow_raise": "height of the brows",
    "bg_a": "backdrop colour, green to red",
    "bg_b": "backdrop colour, blue to yellow",
    "bg_l": "uniform: backdrop lightness",
    "bg_grad": "gradient of the backdrop",
    "bg_blob_x": "place of a soft light on the backdrop",
    "bg_blob_y": "place of a soft light on the backdrop",
    "bg_blob_a": "its colour",
    "bg_blob_b": "its colour",
    "bg_texture": "uniform: from brushed canvas over plain to plaster",
    "cloth_a": "colour of the clothes, green to red",
    "cloth_b": "colour of the clothes, blue to yellow",
    "cloth_l": "uniform: lightness of the clothes",
    "collar": "uniform: from a round to a V neckline",
    "pattern": "uniform: a pattern from 0.6 up",
    "pattern_kind": "uniform: from hoops to stripes",
    "knit": "uniform: from woven to knitted",
    "hat": "gate at 1.35: one in eleven wears a woollen hat",
    "scarf": "gate at 1.35: one in eleven wears a scarf",
}
NAMES = (*IDENTITY, *NUISANCE)
ID_DIM, Z_DIM = len(IDENTITY), len(NAMES)
INDEX = {name: i for i, name in enumerate(NAMES)}


def sample_z(seed: int, count: int) -> Tensor:
    """Factors `[count, Z_DIM]` on the CPU; the same numbers for a seed on every machine."""
    return torch.randn(count, Z_DIM, generator=torch.Generator().manual_seed(seed))


class Factors:
    """Reads z `[N, Z_DIM]` by name, as maps `[N, 1, 1]` that broadcast against the picture."""

    def __init__(self, z: Tensor):
        self.z = z

    def raw(self, name: str) -> Tensor:
        """The standard normal number itself."""
        return self.z[:, INDEX[name]].view(-1, 1, 1)

    def bounded(self, name: str) -> Tensor:
        """In (-1, 1), smooth, 0 in the middle."""
        return torch.tanh(0.6 * self.raw(name))

    def uniform(self, name: str) -> Tensor:
        """In (0, 1), uniformly distributed."""
        return 0.5 * (1 + torch.erf(self.raw(name) / math.sqrt(2)))

    def gate(self, name: str, threshold: float) -> Tensor:
        """In (0, 1): nearly 1 where z exceeds the threshold, nearly 0 below."""
        return torch.sigmoid(25 * (self.raw(name) - threshold))

    @property
    def feminine(self) -> Tensor:
        """In (0, 1), from masculine to feminine."""
        return torch.sigmoid(2.2 * self.raw("gender"))
