"""Alias-free layers: a picture drawn elsewhere is the picture, moved. EQ-T and EQ-R of the paper, on random networks.

Karras et al., NeurIPS 2021, section 2.2 and appendix E: PSNR in dB between the transformed image and the image under a
transformed input, where both are valid, with a range of 2.
"""

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import fourier_shift, rotate
from stylegan3_examples import random_stylegan3
from torch import Tensor

from rusr_core.generator import StyleGAN3, placement

BORDER = 6  # pixels left out at each edge, where filters see beyond the picture


def psnr(found: Tensor, expected: Tensor) -> float:
    inside = (..., slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    scale = 2 / (expected.amax() - expected.amin())  # a random network's range is not [-1, 1]
    return -10 * math.log10(((found - expected)[inside] * scale).square().mean().item() / 4)


def pictures(kind: str, num: int = 2) -> tuple[StyleGAN3, Tensor, Tensor]:
    """A network of 64 px that moves nothing by itself, latents and their pictures, in float64."""
    G = random_stylegan3(kind=kind, resolution=64, channels=12, disturbed=False).double()
    w = G.mapping.sample(num, torch.Generator().manual_seed(0))
    return G, w, G.synthesis(w)


@pytest.mark.parametrize("kind", ["t", "r", "xl"])
def test_translation_by_whole_pixels(kind):
    """EQ-T. Measured here: 69 to 86 dB."""
    G, w, image = pictures(kind)
    for right, down in ((5, 0), (2, 7)):
        moved = G.synthesis(w, placement(shift=(right / 64, down / 64)))
        margin = max(right, down)
        valid = (..., slice(margin, -margin), slice(margin, -margin))
        assert psnr(moved[valid], image.roll((down, right), dims=(2, 3))[valid]) > 60


@pytest.mark.parametrize("kind", ["t", "r"])
def test_translation_by_half_a_pixel(kind):
    """Against the shift of a periodic, band-limited picture in the frequency domain: 50 to 57 dB, of which its own
    border, where this picture is not periodic, takes a part; the picture that is not moved has 37 to 44 dB."""
    G, w, image = pictures(kind)
    moved = G.synthesis(w, placement(shift=(0.5 / 64, 0.5 / 64)))
    for x, y in zip(image, moved, strict=True):
        planes = [np.fft.ifft2(fourier_shift(np.fft.fft2(plane), (0.5, 0.5))).real for plane in x.numpy()]
        found = psnr(y, torch.from_numpy(np.stack(planes)))
        assert found > 45 and found > psnr(y, x) + 6


def test_rotation():
    """EQ-R: R turns with its input, to rounding by a quarter, where no pixel lies between others; T does not."""
    for kind in ("r", "t"):
        G, w, image = pictures(kind, num=1)
        found = psnr(G.synthesis(w, placement(degrees=90)), image.rot90(1, dims=(2, 3)))
        assert found > 200 if kind == "r" else found < 30


def test_rotation_by_any_angle_and_back():
    """R's picture turned by 30 degrees and turned back on the pixel grid by a spline."""
    G, w, image = pictures("r", num=1)
    turned = G.synthesis(w, placement(degrees=30))
    back = np.stack([rotate(plane, -30, reshape=False, order=5) for plane in turned[0].numpy()])
    yy, xx = np.mgrid[:64, :64] - 31.5
    inside = torch.from_numpy(np.hypot(yy, xx) < 22)
    scale = 2 / (image.amax() - image.amin())
    error = ((torch.from_numpy(back) - image[0]) * scale)[:, inside].square().mean().item()
    assert -10 * math.log10(error / 4) > 40
