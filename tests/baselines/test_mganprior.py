"""mGANprior against the official code on its PGGAN: composition, loss and three steps; on StyleGAN2 what must hold."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import golden, random_generator, seeded_vgg
from golden_table import compare
from torch import nn

from rusr_core import baselines
from rusr_core.baselines import BaselineError
from rusr_core.baselines.mganprior import composed, fused, search, total_of
from rusr_core.degradations import parse
from rusr_core.latents import sample_w
from rusr_core.search.stopping import RestorationError


@pytest.fixture(scope="module")
def arrays():
    return golden("mganprior")


class SmallPGGAN:
    """The golden file's generator: pixel norm, nearest upsampling, scaled convolution, leaky ReLU, layer by layer."""

    def __init__(self, arrays):
        self.arrays = arrays

    def layer(self, x, name, gain=2**0.5, slope=0.2):
        weight, bias = (self.arrays[f"param/{name}.{part}"] for part in ("conv.weight", "wscale.bias"))
        x = x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        if name in ("layer2", "layer4", "layer6"):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = F.conv2d(x, weight, padding={4: 3, 3: 1, 1: 0}[weight.shape[-1]])
        return F.leaky_relu(x * (gain / weight[0].numel() ** 0.5) + bias[:, None, None], slope)

    def inner(self, z):
        """z [B, N, 32] -> features [B, N, 16, 8, 8]."""
        x = z.flatten(0, 1)[:, :, None, None]
        for i in range(4):
            x = self.layer(x, f"layer{i}")
        return x.unflatten(0, z.shape[:2])

    def outer(self, x):
        """Features [B, 16, 8, 8] -> pictures [B, 3, 32, 32] in [-1, 1]."""
        for i in range(4, 8):
            x = self.layer(x, f"layer{i}")
        return self.layer(x, "output3", gain=1.0, slope=1.0)


@pytest.fixture(scope="module")
def pggan(arrays):
    return SmallPGGAN(arrays)


@pytest.fixture(scope="module")
def relu3_3():
    """The official perceptual distance, [1]: the mean absolute difference of VGG16's features[:16], times 0.001."""
    state, layers = seeded_vgg(), []
    for group in ((0, 2), (5, 7), (10, 12, 14)):
        layers += [nn.MaxPool2d(2)] if layers else []
        for i in group:
            weight = state[f"features.{i}.weight"]
            with torch.random.fork_rng(devices=[]):
                conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            conv.load_state_dict({"weight": weight, "bias": state[f"features.{i}.bias"]})
            layers += [conv, nn.ReLU()]
    vgg = nn.Sequential(*layers).requires_grad_(False)
    mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))

    def distance(x, y):
        a, b = (vgg(F.interpolate((image - mean) / std, 256, mode="nearest")) for image in (x, y))
        return 1e-3 * (a - b).abs().flatten(1).mean(1)

    return distance


def quarter(x):
    return F.interpolate(x, scale_factor=0.25, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("name", ["init", "test"])
def test_composition(name, arrays, pggan):
    features = pggan.inner(arrays["z0"])
    compare("out/pre_features", features, arrays, 5e-6)
    alpha = arrays["alpha_test"] if name == "test" else arrays["out/alpha_init"]
    compare(f"out/fused_alpha_{name}", fused(features, alpha), arrays, 5e-6)
    compare(f"out/image_alpha_{name}", pggan.outer(fused(features, alpha)), arrays, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task, perc", [("sr4", 1.0), ("gray", 1.0), ("none", 1.0), ("inpaint", 0.1)])
def test_loss(task, perc, arrays, relu3_3):
    """The sum of both terms, and its gradient at the picture."""
    f = {
        "sr4": quarter,
        "gray": lambda x: (x * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True),
        "none": lambda x: x,
        "inpaint": lambda x: x * (1 - arrays["hole"]),
    }[task]
    x = arrays["out/image_alpha_test"].clone().requires_grad_(True)
    made, y = (f(image).expand(-1, 3, -1, -1) / 2 + 0.5 for image in (x, arrays["gt_pm1"]))
    terms = total_of(made, y, relu3_3(made, y), perc)
    terms["total"].sum().backward()
    compare(f"out/loss/{task}", terms["total"], arrays, 1e-6)
    compare(f"out/loss/{task}_grad", x.grad, arrays, 1e-4)
    if task == "sr4":
        compare("out/loss/vgg_term_sr4", terms["perc"], arrays, 1e-5)
        compare("out/loss/mse_sr4", terms["pix"], arrays, 1e-6)


@pytest.mark.slow
def test_three_steps(arrays, pggan, relu3_3):
    """The loop with the official optimiser, start and generator."""
    leaves = [arrays["z0"].clone().requires_grad_(True), arrays["out/alpha_init"].clone().requires_grad_(True)]
    y = quarter(arrays["gt_pm1"]) / 2 + 0.5

    def picture(z, alpha):
        return pggan.outer(fused(pggan.inner(z), alpha)) / 2 + 0.5

    def losses(x):
        made = quarter(x)
        return total_of(made, y, relu3_3(made, y), 1.0)

    totals = []
    for step, terms, _ in search(picture, leaves, losses, torch.optim.SGD(leaves, 1.0), 3):
        totals.append(terms["total"].sum())
        compare(f"out/sgd/z_after{step + 1}", leaves[0], arrays, 3e-6)
        compare(f"out/sgd/alpha_after{step + 1}", leaves[1], arrays, 3e-6)
    compare("out/sgd/loss", torch.stack(totals), arrays, 2e-6)
    compare("out/sgd/image_after3", picture(*leaves) * 2 - 1, arrays, 1e-5)


@pytest.mark.parametrize("architecture", ["skip", "resnet"])
@pytest.mark.parametrize("split", [4, 16])
def test_equal_codes_make_the_picture_of_one(architecture, split):
    """Where all codes are one w, all channels count as one, and the later layers have that w, nothing is composed."""
    G = random_generator(architecture=architecture)
    w = sample_w(G, 2, generator=torch.Generator().manual_seed(0))
    channels = G.config.channels[G.synthesis.names.index(f"b{split}")]
    rest = G.num_ws - G.synthesis.vectors(2 * split).start
    codes, tail = w[:, None].expand(-1, 3, -1), w[:, None].expand(-1, rest, -1)
    found = composed(G, split, codes, torch.ones(2, 3, channels), tail)
    torch.testing.assert_close(found, G.image(w), atol=1e-5, rtol=1e-5)


def test_a_channel_without_importance_is_not_there(prior):
    """The picture does not depend on a code whose channels all have importance 0, but for its share of the colours."""
    G = random_generator(architecture="resnet")  # which carries no picture along
    codes = sample_w(G, 3, generator=torch.Generator().manual_seed(0))[None]
    importance = torch.ones(1, 3, G.config.channels[1])
    importance[:, 2] = 0
    tail = G.w_mean.expand(1, G.num_ws - G.synthesis.vectors(16).start, -1)
    other = codes.clone()
    other[:, 2] += 1
    assert torch.equal(composed(G, 8, codes, importance, tail), composed(G, 8, other, importance, tail))
    other[:, 1] += 1
    assert not torch.equal(composed(G, 8, codes, importance, tail), composed(G, 8, other, importance, tail))


@pytest.mark.parametrize("words", ["strokes:1,seed=1", "downsample:2 | noise:48,0.05 | jpeg:20"])
def test_it_fits_better_step_by_step(words, prior, truth):
    f, seen = parse(words), []
    y = f.degrade(truth[:2], torch.Generator().manual_seed(0))
    method = baselines.METHODS["mganprior"].configured(steps=12, codes=3, split=8)
    result = method.restore(prior, y, f, callback=lambda s: seen.append(s.losses["total"]))
    assert (seen[-1] < seen[0]).all() and len(seen) == 12 and result.steps == [12, 12]
    assert "gu2020image" in result.info["references"]
    alone = method.restore(prior, y[1:], parse(words)).image
    torch.testing.assert_close(result.image[1:], alone, atol=2e-3, rtol=0)


def test_what_cannot_be_divided_is_refused(prior, truth):
    method = baselines.METHODS["mganprior"]
    with pytest.raises(BaselineError, match="split is 32: expected one of 4, 8, 16"):
        method.configured(split=32).restore(prior, truth, parse("identity"))
    with pytest.raises(BaselineError, match="codes is 0: expected a whole number from 1"):
        method.configured(codes=0).restore(prior, truth, parse("identity"))
    other = replace(prior, generator=nn.Identity())
    for name in ("resolution", "w_mean"):
        setattr(other.generator, name, getattr(prior.generator, name))
    with pytest.raises(RestorationError, match="Identity cannot be divided: expected a StyleGAN2 generator"):
        method.configured().restore(other, truth, parse("identity"))
