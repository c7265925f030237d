"""The hole is what the mask says: what stands there changes no bit of the result."""

import dataclasses

import pytest
import torch

from rusr_core import presets, tasks
from rusr_core.degradations import JPEG, Compose, Downsample, Mask
from rusr_core.priors import load_prior, portraits
from rusr_core.restore import restore


def contents(y: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    """y with its hole black, white, grey, noisy, missing, and as the camera saw it."""
    noise = torch.rand(y.shape, generator=torch.Generator().manual_seed(1))
    fillings = {"black": 0.0, "white": 1.0, "grey": 0.5, "noisy": noise, "missing": float("nan"), "untouched": y}
    return {name: torch.where(mask > 0, y, torch.as_tensor(value)) for name, value in fillings.items()}


def assert_same(prior, y, mask, f, preset):
    found = {name: restore(prior, given, f, preset=preset) for name, given in contents(y, mask).items()}
    for name, result in found.items():
        assert torch.equal(result.image, found["black"].image), name
        for term, values in result.history.items():
            assert torch.equal(values, found["black"].history[term]), (name, term)
    return found["black"]


@pytest.mark.slow
@pytest.mark.parametrize("name", presets.PRESETS)
def test_content_of_the_hole(name, prior, truth):
    mask = torch.ones(1, 1, 32, 32)
    mask[..., 8:20, 10:26] = 0
    assert_same(prior, truth[:2], mask, Mask(mask), presets.get(name).shortened(2))


@pytest.mark.parametrize(
    "later, size", [(Downsample(2, "bilinear"), 16), (JPEG(40), 32)], ids=["a shrunk mask", "a hole in a JPEG"]
)
def test_content_of_a_hole_that_later_stages_moved(later, size, prior, truth):
    mask = torch.ones(1, 1, 32, 32)
    mask[..., 8:20, 10:26] = 0
    f = Compose(Mask(mask), later)
    moved = f.mask(truth.shape)
    y = f.degrade(truth[:2])
    assert y.shape[-1] == size and (y * (moved == 0)).abs().max() >= 0
    assert_same(prior, y, moved, f, presets.get("default").shortened(1))


@pytest.mark.slow
def test_content_of_the_hole_with_the_embedded_prior():
    report = presets.get("default").shortened(1)
    f, x = tasks.get("inpainting", "M", seed=3), portraits([10])
    result = assert_same(load_prior(), x, f.mask(x.shape), f, dataclasses.replace(report, phases=report.phases[:2]))
    assert set(result.terms) == {"lpips", "l1", "identity"}


def test_a_mask_that_hides_everything_is_told(prior, truth):
    with pytest.warns(UserWarning, match="hides the whole image"):
        result = restore(prior, truth[:1], Mask(torch.zeros(1, 1, 32, 32)), preset=presets.get("cvpr2023").shortened(1))
    assert "hides the whole image" in result.info["warnings"][0]
