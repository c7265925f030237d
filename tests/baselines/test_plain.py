"""The methods without a prior, against scikit-image, Pillow and the clean image."""

import numpy as np
import pytest
import torch
from conftest import seeded
from PIL import Image
from skimage import restoration

from rusr_core import baselines, load_image
from rusr_core.degradations import Compose, Mask, parse
from rusr_core.errors import RusrWarning
from rusr_core.files import data_path
from rusr_core.images import resize
from rusr_core.metrics import psnr


@pytest.fixture(scope="module")
def portrait() -> torch.Tensor:
    return resize(load_image(data_path("portraits/test/000.png")), 32)


def restored(name, prior, x, words, **values) -> tuple[torch.Tensor, torch.Tensor]:
    """What a method makes of f(x), and f(x) itself."""
    f = parse(words)
    y = f.degrade(x, seeded())
    return baselines.METHODS[name].configured(**values).restore(prior, y, f).image, y


def test_nothing_is_the_input(prior, portrait):
    image, y = restored("nothing", prior, portrait, "jpeg:20")
    assert torch.equal(image, y)
    image, y = restored("nothing", prior, portrait, "downsample:4,bilinear")
    assert torch.equal(image, resize(y, 32, "bicubic").clamp(0, 1))


def test_lanczos_is_pillows(prior, portrait):
    image, y = restored("classical", prior, portrait, "downsample:4,bilinear")
    pictures = [Image.fromarray(channel.numpy()).resize((32, 32), Image.Resampling.LANCZOS) for channel in y[0]]
    expected = torch.from_numpy(np.stack(pictures)).clamp(0, 1)
    torch.testing.assert_close(image[0], expected, atol=1e-5, rtol=0)


def test_holes_are_filled_as_scikit_image_fills_them(prior, portrait):
    f = parse("strokes:2,seed=3")
    y = f.degrade(portrait)
    visible = f.mask(portrait.shape)
    image = baselines.find("classical").restore(prior, y, f).image
    known = (visible >= 0.5).expand_as(image)
    whole = (y / visible.clamp_min(0.5)).clamp(0, 1)
    torch.testing.assert_close(image[known], whole[known], atol=1e-6, rtol=0)
    picture = (whole * (visible >= 0.5))[0].permute(1, 2, 0).double().numpy()
    expected = restoration.inpaint_biharmonic(picture, (visible < 0.5)[0, 0].numpy(), channel_axis=2)
    torch.testing.assert_close(image[0].permute(1, 2, 0).double().numpy(), expected.clip(0, 1), atol=1e-5, rtol=0)
    assert psnr(image, portrait) > psnr(y, portrait) + 3


@pytest.mark.parametrize("words", ["noise:24,0.16", "noise:24,0", "readnoise:0.1", "jpeg:8"])
def test_it_comes_nearer_to_the_truth(words, prior, portrait):
    image, y = restored("classical", prior, portrait, words)
    assert psnr(image, portrait) > psnr(y, portrait)


def test_a_composition_is_undone_from_its_end(prior, portrait):
    f = Compose(*(parse(words) for words in ("downsample:2,bilinear", "noise:48,0.08", "jpeg:15", "strokes:1,seed=1")))
    pair = portrait.expand(2, -1, -1, -1)
    y = f.degrade(pair, seeded())
    image = baselines.find("classical").restore(prior, y, f).image
    assert image.shape == (2, 3, 32, 32) and (psnr(image, pair) > psnr(resize(y, 32), pair)).all()
    alone = baselines.find("classical").restore(prior, y[1:], f).image
    assert torch.equal(image[1:], alone)


def test_what_it_has_no_tool_for(prior):
    assert baselines.METHODS["classical"].can(parse("downsample:2 | fade:0.5")) == (
        "none of its tools undoes fade:gain=0.5; expected stages of "
        "noise, readnoise, jpeg, strokes, mask, downsample, resize"
    )


@pytest.mark.parametrize("name", ["nothing", "classical"])
def test_a_mask_that_hides_all_is_said(name, prior, portrait):
    f = Mask(torch.zeros(1, 1, 32, 32))
    with pytest.warns(RusrWarning, match="hides the whole image"):
        result = baselines.METHODS[name].configured().restore(prior, portrait * 0, f)
    assert len(result.info["warnings"]) == 1
