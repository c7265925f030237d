"""Fading against Pillow's table of 256 values."""

import pytest
import torch
from degradation_examples import images
from PIL import Image

from rusr_core.degradations import DegradationError, Fade, parse
from rusr_core.images import from_pil, quantize, to_pil


@pytest.mark.parametrize("numbers", [(0.7, 0.15, 1), (1.4, -0.2, 1), (0.9, 0.02, 2.2), (1, 0, 0.45)])
def test_fading_is_a_table_of_256_values(numbers):
    gain, offset, gamma = numbers
    table = [round(min(255, max(0, 255 * (gain * (v / 255) ** gamma + offset)))) for v in range(256)]
    x = from_pil(Image.fromarray(torch.arange(256, dtype=torch.uint8).view(16, 16).numpy()).convert("RGB"))
    faded = from_pil(to_pil(x).point(table * 3))
    f = Fade(gain, offset, gamma)
    assert ((f.degrade(x) - faded).abs() < 1.01 / 255).all()  # halves round either way
    assert ((f.degrade(x) - faded).abs() > 1e-4).float().mean() < 0.02
    assert (f(x) - f.degrade(x)).abs().max() <= 0.5 / 255 + 1e-5


def test_channels_have_their_own_numbers():
    f = Fade((0.8, 0.7, 0.6), (0.1, 0.0, -0.1), (1, 2, 1))
    x = quantize(images(2))
    for i, (gain, offset, gamma) in enumerate(zip(f.gain, f.offset, f.gamma, strict=True)):
        torch.testing.assert_close(f(x)[:, i], Fade(gain, offset, gamma)(x)[:, i])
    assert str(f) == "fade:gain=0.8+0.7+0.6,offset=0.1+0.0+-0.1,gamma=1+2+1" and parse(str(f)) == f
    assert parse("fade:0.7,0.1") == Fade(0.7, 0.1) and Fade([1, 1, 1]) == Fade((1, 1, 1))


def test_black_and_what_is_beyond_have_finite_gradients():
    x = torch.tensor([-0.3, 0.0, 1e-6, 1 / 255, 0.5, 1.2]).expand(1, 3, 1, 6).clone().requires_grad_()
    (gradient,) = torch.autograd.grad(Fade(gamma=0.4)(x).sum(), x)
    assert gradient.isfinite().all() and (gradient > 0).all() and gradient.max() < 255


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Fade(0), r"gain must be in \[0.01, 100\], one number or three, got 0"),
        (lambda: Fade((1, 1)), r"gain must be .* got \(1, 1\)"),
        (lambda: Fade(offset=2), r"offset must be in \[-1, 1\]"),
        (lambda: Fade(gamma="soft"), "gamma must be .* got 'soft'"),
        (lambda: parse("fade:0.5+x"), "gain must be a number, or several joined by"),
    ],
)
def test_bad_numbers_are_one_line(make, message):
    with pytest.raises(DegradationError, match=message):
        make()
