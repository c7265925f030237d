"""Resizing: Pillow's pixels, constants kept, a gradient, and no nonsense."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rusr_core import images
from rusr_core.images import ImageError, resize


@pytest.mark.parametrize(
    "mode, pillow",
    [
        ("bilinear", Image.BILINEAR),
        ("bicubic", Image.BICUBIC),
        ("lanczos", Image.LANCZOS),
        ("area", Image.BOX),
    ],
)
@pytest.mark.parametrize("size", [(4, 8), (8, 4), (8, 24)])
def test_resize_agrees_with_pillow(mode, pillow, size):
    values = np.random.default_rng(1).random((16, 24), dtype=np.float32)
    expected = np.asarray(Image.fromarray(values).resize(size[::-1], pillow))
    found = resize(torch.from_numpy(values)[None, None], size, mode)[0, 0].numpy()
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("mode, pillow", [("bilinear", 2), ("bicubic", 3), ("lanczos", 1), ("nearest", 0)])
def test_enlarging_agrees_with_pillow(mode, pillow):
    values = np.random.default_rng(1).random((16, 24), dtype=np.float32)
    height, width = (32, 48) if mode == "nearest" else (33, 50)  # no ties between neighbours
    expected = np.asarray(Image.fromarray(values).resize((width, height), pillow))
    found = resize(torch.from_numpy(values)[None, None], (height, width), mode)[0, 0].numpy()
    assert np.abs(found - expected).max() < 1e-5


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(images.RESIZE_MODES), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_resize_keeps_constants_and_has_a_gradient(mode, height, width, side):
    x = torch.full((2, 3, height, width), 0.5, requires_grad=True)
    y = resize(x, side, mode)
    assert y.shape == (2, 3, side, side) and torch.allclose(y, torch.tensor(0.5), atol=1e-5)
    y.sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.abs().sum() > 0


def test_resize_refuses_nonsense():
    for wrong in (torch.zeros(3, 4, 4), torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.zeros(1, 3, 0, 4)):
        with pytest.raises(ImageError, match="expected images"):
            resize(wrong, 2)
    with pytest.raises(ImageError, match=r"size is \(4, 0\): expected a side or"):
        resize(torch.zeros(1, 3, 4, 4), (4, 0))
    with pytest.raises(ImageError, match="'cubic'"):
        resize(torch.zeros(1, 3, 4, 4), 2, "cubic")
