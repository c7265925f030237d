"""Every compared method meets generators of other kinds: it restores, or says in one line, at once, what it lacks."""

from dataclasses import replace

import pytest
import torch
from conftest import random_generator
from stylegan3_examples import random_stylegan3

from rusr_core.baselines import METHODS, BaselineError
from rusr_core.degradations import parse
from rusr_core.prior import DiffusionPrior
from rusr_core.search.stopping import RestorationError

SHORT = {"steps": 4, "samples": 1, "codes": 2, "starts": 3, "split": 8}
RIVALS = [name for name, method in METHODS.items() if method.prior == "generator"]


class Bare(torch.nn.Module):
    """No more than `LatentGenerator` lists."""

    def __init__(self):
        super().__init__()
        self.inner = [random_generator()]  # in a list: its modules are not this one's
        self.resolution, self.w_mean, self.w_std = 32, self.inner[0].w_mean, self.inner[0].w_std

    def widen(self, ws: torch.Tensor, space: str) -> torch.Tensor:
        return self.inner[0].widen(ws, space)

    def image(self, ws: torch.Tensor) -> torch.Tensor:
        return self.inner[0].image(ws)


KINDS = {
    "silent": lambda: random_generator(use_noise=False),
    "stylegan3": random_stylegan3,
    "classes": lambda: random_generator(c_dim=3),
    "bare": Bare,
}
NO_MAPS, CLASSES = "has no noise maps: expected a StyleGAN2", "has 3 classes: expected one whose w comes from z alone"
NO_MAPPING, WHOLE = "Bare has no mapping network", "cannot be divided: expected a StyleGAN2 generator"
REFUSED = {
    ("silent", "pti"): NO_MAPS,
    ("stylegan3", "mganprior"): WHOLE,
    ("stylegan3", "pti"): NO_MAPS,
    **{("classes", name): CLASSES for name in ("lbrgm", "mganprior", "pti", "na_nhmc")},
    **{("bare", name): NO_MAPPING for name in ("pulse", "lbrgm", "na_nhmc")},
    **{("bare", name): NO_MAPS for name in ("brgm", "pti")},
    ("bare", "mganprior"): WHOLE,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RIVALS)
def test_a_generator_of_another_kind_is_searched_or_refused_at_once(name, kind, prior, truth):
    f, seen = parse("downsample:2,bilinear"), []
    settings = {key: value for key, value in SHORT.items() if key in METHODS[name].settings}
    method, other = METHODS[name].configured(**settings), replace(prior, generator=KINDS[kind]())
    if (kind, name) in REFUSED:
        with pytest.raises(RestorationError, match=REFUSED[kind, name]) as refused:
            method.restore(other, f.degrade(truth[:1]), f, callback=seen.append)
        assert not seen and "\n" not in str(refused.value)
        return
    image = method.restore(other, f.degrade(truth[:1]), f, callback=seen.append).image
    assert image.shape == (1, 3, 32, 32) and image.isfinite().all() and len(seen) == 4


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.prior != "none"])
def test_what_a_method_raises_stands_in_its_docstring(name, prior, truth):
    """Weights that are no numbers, as a damaged training leaves them, end a search in an error that is announced."""
    method, f = METHODS[name], parse("downsample:2,bilinear")
    settings = {key: value for key, value in SHORT.items() if key in method.settings} | {"steps": 4}
    broken = replace(prior, generator=random_generator())
    for weights in broken.generator.synthesis.parameters():
        weights.data.fill_(float("nan"))
    if method.prior == "diffusion":
        broken = DiffusionPrior("broken", Nothing(), torch.device("cpu"))
    with pytest.raises((RestorationError, BaselineError)) as caught:
        method.configured(**settings).restore(broken, f.degrade(truth[:1]), f)
    told = method.function.__doc__.partition("Raises")[2]
    assert type(caught.value).__name__ in told and "number" in told, str(caught.value)


class Nothing(torch.nn.Module):
    """A denoiser whose images are no numbers."""

    resolution = 32

    def forward(self, x: torch.Tensor, sigma: object) -> torch.Tensor:
        return x * float("nan")
