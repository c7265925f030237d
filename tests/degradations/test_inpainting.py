"""Masks and strokes: as published, at every size, for each image, and kept on their device."""

import numpy as np
import pytest
import torch
from conftest import seeded
from degradation_examples import ARRAYS, PUBLISHED, SIZE, half_mask, images, picture

from rusr_core.degradations import Compose, DegradationError, Downsample, Mask, Strokes, for_image, inpainting
from rusr_core.degradations.inpainting import draw
from rusr_core.errors import RusrError
from rusr_core.images import quantize, save_image


def test_the_published_file_truncates_and_ours_rounds():
    x = ARRAYS["in/image"][None]
    one = torch.ones(SIZE, SIZE)
    published = Strokes(0, compat=PUBLISHED).degrade(x)
    assert torch.equal(published[0], ARRAYS["cycle/image_u8_after_cycle_to_file"].float() / 255)
    assert torch.equal(Mask(one).degrade(x), quantize(x))
    assert not torch.equal(published, quantize(x))


@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("count", [1, 5, 9, 13, 17])
def test_strokes_are_drawn_as_published(size, count):
    """The published masks are drawn by OpenCV, ours are exact shapes: only edge pixels differ.

    Measured: mean difference 0.0002 to 0.006, largest 0.24.
    """
    brush = int(0.08 * size) + 0.25
    for i in range(3):
        ours = draw(ARRAYS[f"mask/strokes_r{size}_n{count}"][i].numpy(), (size, size), 4 * brush)
        expected = ARRAYS[f"mask/mask_r{size}_n{count}"][i].numpy()
        difference = np.abs(ours - expected)
        assert difference.max() < 0.25 and difference.mean() < 0.0065
        edge = (expected > 0.001) & (expected < 0.999)
        near = torch.nn.functional.max_pool2d(torch.from_numpy(edge)[None].float(), 3, 1, 1)[0].bool().numpy()
        assert difference[~near].max() < 0.02


def test_a_stroke_mask_is_applied_as_published():
    applied = Mask(ARRAYS["mask/mask_r64_n5"][0])(picture())[0]
    torch.testing.assert_close(applied, ARRAYS["mask/applied_r64_n5_seed0"], atol=1e-6, rtol=0)


@pytest.mark.parametrize("count", [1, 5, 9, 13, 17])
def test_strokes_hide_as_much_as_published(count):
    hidden = []
    for seed in range(100):
        mask = Strokes(count, seed=seed, compat=PUBLISHED).mask((1, 3, SIZE, SIZE))
        hidden.append(1 - mask.mean().item())
    expected = ARRAYS[f"mask/hidden_fraction_200seeds_r64_n{count}"].numpy()
    error = np.sqrt(np.var(hidden) / len(hidden) + expected.var() / len(expected))
    assert abs(np.mean(hidden) - expected.mean()) < 3.5 * error


def test_brushes_scale_with_the_image():
    hidden = [
        np.mean([1 - Strokes(9, seed=s).mask((1, 3, side, side)).mean().item() for s in range(8)])
        for side in (16, 64, 256)
    ]
    assert max(hidden) - min(hidden) < 0.01


def test_each_image_can_have_its_own_strokes():
    f = Strokes(5, seed=(3, 4))
    mask = f.mask((2, 3, SIZE, SIZE))
    assert torch.equal(mask[1:], Strokes(5, seed=4).mask((1, 3, SIZE, SIZE)))
    assert not torch.equal(mask[0], mask[1])
    assert len(Strokes(5, seed=3).mask((2, 3, SIZE, SIZE))) == 1  # one seed: one mask for all


def test_the_generator_does_not_move_the_strokes():
    x = images(2)
    a = Strokes(9).degrade(x, torch.Generator().manual_seed(0))
    assert torch.equal(a, Strokes(9).degrade(x, torch.Generator().manual_seed(1)))


def test_the_mask_holds_still_when_its_source_changes():
    source = half_mask().clone()
    f = Mask(source)
    source.zero_()
    assert f.mask((1, 3, SIZE, SIZE)).mean() == 0.5


def test_a_stroke_is_what_lies_within_half_its_thickness_of_a_segment():
    """Against the distance of every pixel of the canvas to the segment, on the whole canvas."""
    ends = np.array([[5.0, 9, 40, 30], [20, 20, 20, 20], [-30, 10, 90, 12], [-50, -50, -40, -40], [63, 0, 0, 63]])
    for thickness in (1.0, 5.25, 17.0):
        y, x = np.mgrid[:64, :64].astype(float)
        hidden = np.zeros((64, 64), bool)
        for x0, y0, x1, y1 in ends:
            length = np.hypot(x1 - x0, y1 - y0)
            along = 0 if length == 0 else ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length**2
            along = np.clip(along, 0, 1)
            hidden |= np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0)) <= thickness / 2
        expected = inpainting._reduce(inpainting._reduce(hidden.astype(np.float32)))
        assert np.array_equal(draw(ends, (16, 16), thickness), 1 - expected)


def test_a_mask_comes_from_a_file(tmp_path):
    save_image(half_mask().expand(1, 3, -1, -1), tmp_path / "mask.png")
    assert torch.equal(Mask(tmp_path / "mask.png")(picture()), Mask(half_mask())(picture()))


def test_a_mask_of_equal_channels_is_one():
    rgb = half_mask().expand(1, 3, -1, -1)
    assert torch.equal(Mask(rgb)(picture()), Mask(half_mask())(picture()))


def test_each_image_has_its_own_operator():
    x = images(3)
    masks = (torch.rand(3, 1, SIZE, SIZE, generator=seeded()) > 0.5).float()
    for f in (Strokes(4, seed=(1, 2, 3)), Mask(masks), Compose(Strokes(4, seed=(1, 2, 3)), Mask(masks), Downsample(2))):
        alone = torch.cat([for_image(f, i)(one) for i, one in enumerate(x.split(1))])
        assert torch.equal(alone, f(x)) and not torch.equal(alone, for_image(f, 0)(x))
        with pytest.raises(RusrError, match="one of the 3 that have a (seed|mask), got 3"):
            for_image(f, 3)
    assert for_image(Strokes(4), 7) == Strokes(4)  # the same for all


def test_masks_are_made_once(monkeypatch):
    """A search asks for the mask at every step."""
    f, x, calls = Strokes(3, seed=977), images(1), []
    made = Strokes.mask
    monkeypatch.setattr(Strokes, "mask", lambda self, shape: calls.append(shape) or made(self, shape))
    assert torch.equal(f(x), f(x)) and len(calls) == 1


def test_a_mask_first_used_without_gradients_serves_a_search():
    f, x = Strokes(3, seed=978), images(1)
    with torch.inference_mode():
        f(x)
    leaf = x.clone().requires_grad_()
    f(leaf).sum().backward()
    assert leaf.grad.abs().sum() > 0


@pytest.mark.parametrize("shape", [(32, 32), (1, 3, -4, 4), (1, 3, 0, 4), (1, 3, 4.0, 4), "abcd", 5, None])
@pytest.mark.parametrize("f", [Strokes(2), Mask(torch.ones(4, 4)), Compose(Strokes(2), Downsample(2))])
def test_shapes_that_no_images_have(f, shape):
    with pytest.raises(DegradationError, match=r"the shape of images must be \[N, 3, H, W\], .*, got"):
        f.mask(shape)
