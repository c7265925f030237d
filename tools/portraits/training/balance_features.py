"""Weigh the channels of a feature net anew, so that its distance looks at every level; its features stay as they are.

    python -m tools.portraits.training.balance_features features_a.safetensors --out features_a.safetensors

This is the `lin` of Zhang et al. (CVPR 2018, section 3.2): features are fixed, and only the weights of the channels
learn from triplets, those of orders.py. A penalty holds what each channel adds to the distance between two portraits
near an even share: `LEVELS` for the levels, equal weights within one. Without it `tune_features` had given 91 % (net A)
and 96 % (net B) of that distance to few channels of the level of 32 x 32 pixels. The order of triplets did not suffer
from it, but a search that minimises such a distance does: it feels neither colours nor the place of a face before the
texture fits. With more penalty searches come nearer to the truth, and fewer triplets are ordered right.
"""

import argparse
import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.checkpoints import load_portrait_net, save_portrait_net
from rusr_core.networks.portrait_net import PortraitNet
from tools.portraits.renderer import render, sample_z
from tools.portraits.training import orders
from tools.portraits.training.render_training_set import normalized
from tools.portraits.training.tune_features import triplet_loss

SEED = 840_000  # of people that neither training nor the bench for judges has
STEPS, RATE = 800, 0.03  # of Adam, for the logarithms of the weights
BALANCE = 0.1  # weight of the penalty
LEVELS = (0.45, 0.19, 0.15, 0.21)  # shares of the levels, from fine to coarse, that nets have which only know people
CHUNK = 25


@dataclass(frozen=True)
class Parts:
    """What each channel adds to distances before it is weighed: `near` and `far` `[T, C]` of triplets with their
    `kinds`, and `random` `[C]`, the mean of two portraits; `levels` are the numbers of channels.
    """

    near: Tensor
    far: Tensor
    kinds: list[str]
    random: Tensor
    levels: tuple[int, ...]

    def of_channels(self, weights: Tensor) -> Tensor:
        """Share `[C]` of each channel in the distance of two portraits, for weights `[C]`."""
        return weights * self.random / (weights @ self.random)

    def shares(self, weights: Tensor) -> Tensor:
        """Share of each level in the same."""
        return torch.stack([level.sum() for level in self.of_channels(weights).split(self.levels)])


@torch.no_grad()
def channel_distances(net: PortraitNet, x: Tensor, y: Tensor) -> Tensor:
    """`[N, C]`: the mean squared difference of each channel's unit-normalised features, not weighed."""
    plain = copy.deepcopy(net)
    for level in range(net.config.perceptual_levels):
        getattr(plain, f"channel_weight{level}").fill_(1)
    chunks = []
    for both in zip(x.split(CHUNK), y.split(CHUNK), strict=True):
        maps = zip(*map(plain.features, both), strict=True)
        chunks.append(torch.cat([(a - b).square().mean((2, 3)) for a, b in maps], 1))
    return torch.cat(chunks)


def triplets(z: Tensor, x: Tensor, seed: int) -> orders.Triplets:
    """Triplets of every sort of orders.py."""
    within = [orders.within_kinds(x, seed + i) for i in (0, 1)]
    across = [orders.across_ranges(x, seed + 2), orders.agreed(x, seed + 3), orders.equal_l1(x, seed + 4)]
    edited = [orders.edits(z, seed + 5), orders.edits_against_distortions(z, seed + 6), orders.redrawn(z, seed + 7)]
    return orders.joined([*within, *across, *edited, orders.named_cases(x[: len(x) // 3])])


def measure(net: PortraitNet, count: int, seed: int = SEED) -> Parts:
    """The parts of triplets on so many new portraits."""
    z = normalized(sample_z(seed, count))
    x = render(z)
    t = triplets(z, x, seed)
    near, far = (channel_distances(net, t.reference, y) for y in (t.near, t.far))
    random = channel_distances(net, x, x.roll(1, 0)).mean(0)
    return Parts(near, far, t.kinds, random, net.config.channels[: net.config.perceptual_levels])


def even(parts: Parts) -> Tensor:
    """Weights `[C]` that are equal within each level and give the levels their shares."""
    equal = parts.shares(torch.ones(sum(parts.levels)))
    weights = (torch.tensor(LEVELS) / equal).tolist()
    return torch.cat([torch.full((n,), w) for n, w in zip(parts.levels, weights, strict=True)])


def fit(parts: Parts, weights: Tensor, balance: float = BALANCE) -> Tensor:
    """Weights `[C]`: every kind of triplets counts alike, and the distance of two portraits stays as it is."""
    start = even(parts)
    target = parts.of_channels(start)
    log = start.log().requires_grad_(True)
    optimizer = torch.optim.Adam([log], lr=RATE)
    counts = {kind: parts.kinds.count(kind) for kind in set(parts.kinds)}
    each = torch.tensor([1 / counts[kind] for kind in parts.kinds])
    for _ in range(STEPS):
        w = log.exp()
        order = (each * triplet_loss(parts.near @ w, parts.far @ w)).sum() / each.sum()
        uneven = (target * torch.log(target / parts.of_channels(w))).sum()  # Kullback-Leibler
        optimizer.zero_grad()
        (order + balance * uneven).backward()
        optimizer.step()
    w = log.detach().exp()
    return w * (weights @ parts.random) / (w @ parts.random)


def balance_net(net: PortraitNet, count: int, balance: float = BALANCE) -> str:
    """Give the net new weights; -> the shares of its levels before and after."""
    parts = measure(net, count)
    buffers = [getattr(net, f"channel_weight{level}") for level in range(len(parts.levels))]
    before = torch.cat(buffers)
    after = fit(parts, before, balance)
    for buffer, level in zip(buffers, after.split(parts.levels), strict=True):
        buffer.copy_(level)
    shares = (", ".join(f"{share:.2f}" for share in parts.shares(w)) for w in (before, after))
    return "shares of the levels: {} -> {}".format(*shares)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("net", type=Path, help="a net of tune_features.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300, help="portraits")
    parser.add_argument("--balance", type=float, default=BALANCE, help="weight of the penalty (default: %(default)s)")
    args = parser.parse_args()
    net = load_portrait_net(args.net)
    print(balance_net(net, args.count, args.balance))
    save_portrait_net(net, args.out)


if __name__ == "__main__":
    main()
