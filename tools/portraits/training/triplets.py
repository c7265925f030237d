"""Which of two pictures is further from a reference? Rendered triplets give the answer; channel weights learn
it.

Both pictures show the reference with other factors, one a step in a random direction, the other a step 1.4 to
3 times as long in another. Both then get what a viewer hardly minds: a shift by a pixel, a little exposure, a
little noise or blur. The truth is the length of the step. (That is a definition, not an experiment with
viewers.)
"""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from rusr_core.networks.perceptual import beside
from rusr_core.networks.portrait_net import PortraitNet
from tools.portraits.renderer import render, sample_z
from tools.portraits.training.render_training_set import normalized
from tools.portraits.training.training_set import pick

HELD_OUT_SEED = 800_000


def minor_change(x: Tensor, g: torch.Generator) -> Tensor:
    """Shift, exposure, noise or blur, drawn for each picture of `[N, 3, H, W]` in [0, 1]."""
    out = []
    for picture in x:
        dx, dy = torch.randint(-1, 2, (2,), generator=g).tolist()
        picture = F.pad(picture[None], (1, 1, 1, 1), mode="replicate")
        picture = picture[..., 1 + dy : 1 + dy + x.shape[2], 1 + dx : 1 + dx + x.shape[3]]
        gain, kind = 0.94 + 0.12 * torch.rand((), generator=g), torch.rand((), generator=g)
        noise = torch.randn(picture.shape, generator=g)
        if kind < 0.35:
            picture = picture + 0.03 * noise
        elif kind < 0.6:
            picture = F.avg_pool2d(F.pad(picture, (1, 1, 1, 1), mode="replicate"), 3, 1)
        out.append((picture * gain).clamp(0, 1))
    return torch.cat(out)


def triplets(z: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """For references with factors z `[N, Z_DIM]`: the nearer and the further picture, `[N, 3, 128, 128]` on
    the CPU each; rendered where z is."""
    g = torch.Generator().manual_seed(seed)
    near = 0.15 + 0.35 * torch.rand(len(z), 1, generator=g)
    far = near * (1.4 + 1.6 * torch.rand(len(z), 1, generator=g))
    steps = torch.randn(2, *z.shape, generator=g)
    moves = [(length * step).to(z.device) for length, step in zip((near, far), steps, strict=True)]
    pictures = [render(normalized(z + move)).cpu() for move in moves]
    return minor_change(pictures[0], g), minor_change(pictures[1], g)


@torch.no_grad()
def channel_distances(net: PortraitNet, a: Tensor, b: Tensor) -> Tensor:
    """Mean squared difference of every channel of every level, `[N, sum C_l]` on the CPU."""
    parts = []
    for first, second in zip(a.split(50), b.split(50), strict=True):
        pairs = zip(*(net.features(x) for x in beside(net, first, second)), strict=True)
        parts.append(torch.cat([(u - v).square().mean((2, 3)) for u, v in pairs], 1).cpu())
    return torch.cat(parts)


def fit(nearer: Tensor, further: Tensor, steps: int = 600) -> Tensor:
    """Nonnegative weights `[C]`: logistic regression on the log of the two weighted distances, drawn towards
    ones."""
    raw = torch.full((nearer.shape[1],), 0.5413, requires_grad=True)  # softplus gives 1
    optimizer = torch.optim.Adam([raw], lr=0.02)
    for _ in range(steps):
        weight = F.softplus(raw)
        margin = torch.log(further @ weight + 1e-8) - torch.log(nearer @ weight + 1e-8)
        loss = F.softplus(-4 * margin).mean() + 1e-3 * (weight - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    weight = F.softplus(raw.detach())
    return weight * (nearer.sum() / (nearer @ weight).sum())  # the mean distance stays what it was


def held_out_triplets(count: int, device: str | torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """References that training never used, a nearer and a further picture of each, `[N, 3, 128, 128]` on the
    CPU; rendered on `device`."""
    z = normalized(sample_z(HELD_OUT_SEED, count)).to(device)
    return render(z).cpu(), *triplets(z, HELD_OUT_SEED + 1)


def scores(net: PortraitNet, reference: Tensor, near: Tensor, far: Tensor) -> dict[str, float]:
    """Share of triplets that the net orders right, and L2's share."""
    order = channel_distances(net, reference, far).sum(1) > channel_distances(net, reference, near).sum(1)
    squares = [(reference - x).square().mean((1, 2, 3)) for x in (near, far)]
    return {"net": order.float().mean().item(), "L2": (squares[1] > squares[0]).float().mean().item()}


def learn_channel_weights(
    net: PortraitNet, images: np.ndarray | Tensor, z: Tensor, count: int, seed: int
) -> dict[str, float]:
    """Fit the net's channel weights on triplets from the training set, in place; scores on held-out
    triplets."""
    people = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))[:count]
    reference = pick(images, people, torch.zeros_like(people)).cpu().float() / 255
    (factors,) = beside(net, z[people, 0])
    near, far = triplets(factors, seed)
    held_out = held_out_triplets(min(count // 3, 1_000), factors.device)
    before = scores(net, *held_out)
    weights = fit(channel_distances(net, reference, near), channel_distances(net, reference, far))
    levels = net.config.channels[: net.config.perceptual_levels]
    for level, part in enumerate(weights.split(levels)):
        getattr(net, f"channel_weight{level}").copy_(part)
    after = scores(net, *held_out)
    return {"weights of one": before["net"], "learned weights": after["net"], "L2": after["L2"]}
