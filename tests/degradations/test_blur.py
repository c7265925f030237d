"""Blur against SciPy, and against the definition of a motion."""

import numpy as np
import pytest
import torch
from conftest import seeded
from degradation_examples import images
from scipy import ndimage

from rusr_core import tasks
from rusr_core.degradations import Blur, DegradationError, parse
from rusr_core.degradations.blur import convolve, gaussian_kernel, motion_kernel
from rusr_core.images import quantize, save_image


@pytest.mark.parametrize("width", [0.3, 0.5, 1, 2.7, 8])
def test_a_gaussian_is_scipys(width):
    x = images(1, 24, 37)
    expected = ndimage.gaussian_filter(x.double().numpy(), (0, 0, width, width), mode="mirror", truncate=4.0)
    torch.testing.assert_close(Blur(width)(x), torch.tensor(expected).float(), atol=2e-6, rtol=0)
    assert (Blur(width).degrade(x) - Blur(width)(quantize(x))).abs().max() <= 0.5 / 255 + 1e-6


@pytest.mark.parametrize(("length", "direction"), [(1, 0), (6, 0), (7.5, 90), (9, 30), (12.3, -70), (5, 180)])
def test_a_motion_is_the_mean_of_moved_pictures(length, direction):
    """Against SciPy's shift with bilinear interpolation, at many more points of the path; inside the borders."""
    x = images(1, 40, 40)[0, 0].double()
    angle, num = np.deg2rad(direction), 400
    along = ((np.arange(num) + 0.5) / num - 0.5) * length
    moved = [ndimage.shift(x.numpy(), (-t * np.sin(angle), t * np.cos(angle)), order=1, mode="mirror") for t in along]
    ours = Blur(length=length, direction=direction)(x[None, None].expand(1, 3, -1, -1).float())
    inside = (ours[0, 0].double() - torch.tensor(np.mean(moved, 0)))[8:-8, 8:-8]
    assert inside.abs().max() < 2e-3
    row, column = np.indices(motion_kernel(length, direction).shape) - motion_kernel(length, direction).shape[0] // 2
    kernel = motion_kernel(length, direction).double().numpy()
    assert kernel.sum() == pytest.approx(1, abs=1e-6)
    along = kernel * (column * np.cos(angle) - row * np.sin(angle)) ** 2
    across = kernel * (column * np.sin(angle) + row * np.cos(angle)) ** 2
    assert along.sum() == pytest.approx(length**2 / 12, abs=0.26)  # and at most the variance of the interpolation
    assert across.sum() < 0.26


def test_any_kernel_is_scipys_convolution(tmp_path):
    kernel = torch.rand(5, 3, generator=seeded(1))
    x = images(1, 12, 15)
    expected = ndimage.convolve(x[0, 1].numpy(), (kernel / kernel.sum()).numpy(), mode="mirror")
    torch.testing.assert_close(Blur(kernel=kernel)(x)[0, 1], torch.tensor(expected), atol=2e-6, rtol=0)
    save_image(kernel.expand(1, 3, -1, -1), tmp_path / "k.png")
    f = parse(f"blur:kernel={tmp_path}/k.png")
    assert str(f) == f"blur:kernel={tmp_path}/k.png" and f == parse(str(f)) and f != Blur(kernel=kernel)
    torch.testing.assert_close(f(x), Blur(kernel=kernel)(x), atol=0.004, rtol=0)
    assert len({Blur(kernel=kernel), Blur(kernel=kernel.clone()), Blur(2), Blur(2.0)}) == 2


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (3, 2)])
def test_pictures_smaller_than_the_kernel_are_mirrored_again_and_again(size):
    x = torch.rand(1, 3, *size, generator=seeded(2))
    expected = ndimage.gaussian_filter(x.double().numpy(), (0, 0, 4, 4), mode="mirror", truncate=4.0)
    torch.testing.assert_close(Blur(4)(x), torch.tensor(expected).float(), atol=2e-6, rtol=0)


def test_kernels_are_differentiable_in_their_numbers():
    weights = torch.rand(9, 9, generator=seeded(3))

    def gaussian(width):
        line = gaussian_kernel(width)
        return (torch.outer(line, line) * weights[: len(line), : len(line)]).sum()

    def motion(length, direction):
        return convolve(weights[None, None], motion_kernel(length, direction))[0, 0, 4, 3]

    for function, at in ((gaussian, [1.03]), (motion, [3.3, 20.0])):
        leaves = [torch.tensor(v, requires_grad=True) for v in at]
        gradients = torch.autograd.grad(function(*leaves), leaves)
        for i, gradient in enumerate(gradients):
            step = [1e-2 * (i == j) for j in range(len(at))]
            ahead, behind = (
                function(*(torch.tensor(v + s * d) for v, d in zip(at, step, strict=True))) for s in (1, -1)
            )
            assert float(gradient) == pytest.approx(float(ahead - behind) / 2e-2, rel=0.05, abs=1e-4)


BAD = {
    "width": (lambda: Blur(-1), r"width must be in \[0, 1024\] px, got -1"),
    "length": (lambda: Blur(length=float("nan")), r"length must be in \[0, 1024\] px, got nan"),
    "direction": (
        lambda: Blur(length=3, direction=float("inf")),
        r"direction must be an angle in \[-360, 360\] degrees, got inf",
    ),
    "both": (lambda: Blur(2, kernel=torch.ones(3, 3)), r"kernel must be without width and length, got \[3, 3\]"),
    "even": (lambda: Blur(kernel=torch.ones(4, 3)), r"kernel must be \[h, w\] with odd sides, got \[4, 3\]"),
    "negative": (lambda: Blur(kernel=-torch.ones(3, 3)), "kernel must be without negative values"),
    "file": (lambda: parse("blur:kernel=nowhere.png"), "nowhere.png: no such file"),
    "word": (lambda: parse("blur:strong"), "width must be a number, got 'strong'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_are_one_line(name):
    make, message = BAD[name]
    with pytest.raises(Exception, match=message) as caught:
        make()
    assert name == "file" or isinstance(caught.value, DegradationError)


def test_five_levels_beside_the_tables():
    assert [task.degradation() for task in tasks.EXTRA] == [Blur(w) for w in (0.5, 1.0, 2.0, 4.0, 8.0)]
    assert (
        tasks.find("blur:L") == tasks.find("deblurring", "L") == tasks.EXTRA[3]
        and str(tasks.EXTRA[3]) == "deblurring L"
    )
    assert tasks.get("blur:3") == Blur(3) and tasks.find("B", "s").file_name == "B-S"
    for words in ("BU", "deblurring+noise"):
        with pytest.raises(tasks.TaskError, match="only U, N, A, P compose; expected a notation, as blur:2"):
            tasks.find(words)
