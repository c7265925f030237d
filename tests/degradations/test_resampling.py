"""Downsampling and resizing against Pillow's, on the golden arrays."""

import pytest
import torch
from degradation_examples import ARRAYS, PUBLISHED, picture, psnr

from rusr_core.degradations import Downsample


@pytest.mark.parametrize("name", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_downsampling_equals_pillows(name, factor):
    f = Downsample(factor, name)
    expected = ARRAYS[f"down/true_{name.upper()}_x{factor}"].float() / 255
    assert torch.equal(f.degrade(picture())[0], expected)
    assert torch.equal(Downsample(factor, name, compat=PUBLISHED).degrade(picture())[0], expected)
    torch.testing.assert_close(f(picture())[0], ARRAYS[f"down/pred_x{factor}"], atol=1e-6, rtol=0)
    # measured on this picture: 32.5 dB (bilinear, 8) to 43.1 dB (bicubic, 2)
    assert psnr(f(picture())[0], expected) > 32


def test_the_random_filter_is_drawn_for_each_image():
    x = picture().expand(24, -1, -1, -1)
    y = Downsample(4).degrade(x, torch.Generator().manual_seed(0))
    kinds = [Downsample(4, name).degrade(picture())[0] for name in ("bilinear", "bicubic", "lanczos")]
    counts = [sum(torch.equal(image, kind) for image in y) for kind in kinds]
    assert sum(counts) == 24 and min(counts) >= 3
