"""Teach a feature net which of two pictures is further from a third, and let it forget nobody.

    python -m tools.portraits.training.tune_features --data FOLDER --out FOLDER --net a --start-from FILE

All weights are trained, those of the channels too, on triplets of every kind of orders.py (Zhang et al., CVPR 2018,
section 3.2, trained their `lin`, `tune` and `scratch` on judgements; this is `tune`). Identity embeddings are held to
those of the net at the start, and what each channel adds to the distance of two people to an even share (shares.py).
Resumes from FOLDER/tuned_X.pt; writes tuned_X.csv and, at the end,
features_X.safetensors. Schedules count steps; what a step sees depends on the seed and on its number alone. With
`--seconds N` the number of steps is what N seconds of the program allow, by the speed of the first ones.
"""

import argparse
import copy
import csv
import math
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core.arithmetic import flushed_denormals
from rusr_core.checkpoints import load_portrait_net, save_portrait_net
from rusr_core.networks.perceptual import distance
from rusr_core.networks.portrait_net import PortraitNet
from tools.portraits.training import shares
from tools.portraits.training.distillation import autocast
from tools.portraits.training.orders import (
    Triplets,
    across_ranges,
    agreed,
    edits,
    edits_against_distortions,
    equal_l1,
    joined,
    named_cases,
    redrawn,
    shift_against_blur,
    within_kinds,
)
from tools.portraits.training.render_training_set import factors
from tools.portraits.training.train_features import CONFIGS, degrade_some
from tools.portraits.training.training_set import load_images, pick
from tools.portraits.training.verification import held_out_faces, verify

SHARPNESS = 4.0  # a triplet is settled when one distance is about exp(1 / SHARPNESS) times the other


@dataclass(frozen=True)
class Plan:
    """One run; a step sees `batch` fresh triplets of pixel kinds and `stored` ones of the bank."""

    seed: int
    steps: int = 2_000
    batch: int = 16
    stored: int = 8
    rate: float = 4e-4
    channel_rate: float = 1e-2  # of the logarithms of the channel weights
    identity_weight: float = 20.0
    balance: float = 0.4  # weight of the unevenness of the channels' shares
    bank: int = 500  # triplets of each kind that is too slow to make at every step
    log_every: int = 100

    def learning_rate(self, step: int) -> float:
        """Share of the rates: warm-up over 50 steps, then a cosine."""
        return min(1, (step + 1) / 50) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / self.steps)))


def triplet_loss(near: Tensor, far: Tensor) -> Tensor:
    """Logistic loss `[N]` of the logarithm of the ratio of two batches of distances `[N]`."""
    return F.softplus(SHARPNESS * (torch.log(near + 1e-6) - torch.log(far + 1e-6)) + 0.5)


def make_bank(images: np.ndarray | Tensor, z: Tensor, plan: Plan) -> Triplets:
    """Triplets that need the renderer or slow witnesses, made on the device of the factors z."""
    g, parts = torch.Generator().manual_seed(plan.seed + 40), []
    while sum(len(p) for p in parts) < 6 * plan.bank:
        number = len(parts)
        people, seed = torch.randint(len(images), (min(40, plan.bank),), generator=g), plan.seed * 100_000 + number
        x = pick(images, people, torch.zeros_like(people)).to(z.device).float() / 255
        if number % 6 < 2:
            parts.append(agreed(x, seed))
        elif number % 6 == 2:
            parts.append(named_cases(x[: -(-len(x) // 3)]))
        else:
            parts.append((edits, edits_against_distortions, redrawn)[number % 3](z[people, 0], seed))
    return joined(parts)


class Trainer:
    """The net with its channel weights as logarithms, the net at the start, and the optimiser.

    By `people` `[N, 3, 128, 128]`, a portrait of each, it knows the shares that channels should have, and the scale.
    """

    def __init__(self, plan: Plan, net: PortraitNet, people: Tensor, device: torch.device):
        self.plan, self.device, self.step_number, self.fitted = plan, device, 0, False
        self.start = net.to(device)
        self.people = people.to(device)
        self.shares = shares.even(self.start, self.people)
        self.net = copy.deepcopy(net).to(device, memory_format=torch.channels_last).requires_grad_(True)
        logs = [weights.clamp_min(1e-4).log().to(device) for weights in net.channel_weights]
        self.logs = nn.ParameterList(nn.Parameter(log) for log in logs)
        groups = [{"params": list(self.net.parameters()), "base": plan.rate}]
        groups.append({"params": list(self.logs), "base": plan.channel_rate})
        self.optimizer = torch.optim.Adam(groups, lr=plan.rate, betas=(0.9, 0.99))

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings `[N, E]`, with gradients to all weights; `PortraitNet.embed` is the same for frozen nets."""
        with autocast(self.device):
            last = self.net.activations(x)[-1]
        return F.normalize(self.net.project(last.float().flatten(1)), dim=1)

    def features(self, x: Tensor) -> list[Tensor]:
        """Perceptual maps of `[N, 3, 128, 128]`, with gradients to all weights."""
        with autocast(self.device):
            maps = self.net.activations(x, len(self.logs))
        weighted = []
        for m, log in zip(maps, self.logs, strict=False):
            m = m.float()
            unit = m * (m.square().sum(1, keepdim=True) + 1e-6).rsqrt()
            weighted.append(unit * (0.5 * log).exp()[:, None, None])
        return weighted

    def triplets(self, images: np.ndarray | Tensor, bank: Triplets) -> tuple[Triplets, Tensor]:
        """The step's triplets, and more portraits for the identity."""
        seed = self.plan.seed * 1_000_003 + self.step_number
        g = torch.Generator().manual_seed(seed)
        people = torch.randint(len(images), (2 * self.plan.batch,), generator=g)
        views = torch.randint(images.shape[1], (2 * self.plan.batch,), generator=g)
        x = pick(images, people.to(self.device), views.to(self.device)).float() / 255
        own, more = x.split(self.plan.batch)
        first, second, third = own.tensor_split((3 * self.plan.batch // 8, 6 * self.plan.batch // 8))
        parts = [within_kinds(first, seed), across_ranges(second, seed), equal_l1(third, seed)]
        few = first[: -(-self.plan.batch // 8)]  # with more of them, any strong blur was equally far
        parts.append(shift_against_blur(few, seed + 1))
        rows = torch.randint(len(bank), (self.plan.stored,), generator=g)
        return joined([*parts, bank.part(rows).to(self.device)]), degrade_some(more, g)

    def step(self, images: np.ndarray | Tensor, bank: Triplets) -> Tensor:
        """One step; returns the triplets' loss, the identity's and the unevenness."""
        t, others = self.triplets(images, bank)
        count = len(t)
        pictures = torch.cat([t.reference, t.near, t.far]).to(self.device, memory_format=torch.channels_last)
        r, n, f = zip(*(m.split(count) for m in self.features(pictures)), strict=True)
        order = triplet_loss(distance(r, n), distance(r, f)).mean()
        with torch.no_grad():
            known = self.start.embed(others)
        identity = 1 - (self.embed(others) * known).sum(1).mean()
        uneven = shares.unevenness(self.shares, r)
        self.optimizer.zero_grad()
        (order + self.plan.identity_weight * identity + self.plan.balance * uneven).backward()
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * self.plan.learning_rate(self.step_number)
        self.optimizer.step()
        self.step_number += 1
        return torch.stack([order, identity, uneven]).detach()

    @torch.no_grad()
    def result(self) -> PortraitNet:
        """The net as it is shipped; the mean distance of two of the people is what it was at the start."""
        x, net = self.people, copy.deepcopy(self.net).requires_grad_(False)
        for weights, log in zip(net.channel_weights, self.logs, strict=True):
            weights.copy_(log.exp())
        before, after = (n.distance(x, x.roll(1, 0)).mean() for n in (self.start, net))
        for weights in net.channel_weights:
            weights.mul_(before / after)
        return net.eval()

    def state(self) -> dict:
        """What a resumed run needs."""
        parts = {"net": self.net, "logs": self.logs, "optimizer": self.optimizer}
        fitted = {"steps": self.plan.steps} if self.fitted else {}
        return {name: part.state_dict() for name, part in parts.items()} | {"step": self.step_number} | fitted

    def restore(self, state: dict) -> None:
        """Inverse of `state`."""
        for name, part in (("net", self.net), ("logs", self.logs), ("optimizer", self.optimizer)):
            part.load_state_dict(state[name])
        self.step_number = state["step"]
        if "steps" in state:
            self.fit(state["steps"])

    def fit(self, steps: int) -> None:
        """Another number of steps than planned, in which the rates fall; a resumed run keeps to it."""
        self.plan, self.fitted = replace(self.plan, steps=max(steps, self.step_number)), True


def log(path: Path, step: int, losses: list[float], verified: float, speed: float) -> None:
    """Append the mean losses since the last line, the verification accuracy and the steps a second to a CSV file."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            names = ("triplet_loss", "identity_loss", "unevenness", "verification", "steps_per_s")
            writer.writerow(("step", *names))
        writer.writerow((step, *(f"{loss:.5f}" for loss in losses), f"{verified:.4f}", f"{speed:.2f}"))


@flushed_denormals()
def tune(
    plan: Plan,
    net: PortraitNet,
    images: np.ndarray | Tensor,
    out: Path,
    name: str,
    device: torch.device,
    seconds: float | None = None,
) -> None:
    """Run the plan to its end, from wherever the last run stopped, and write the net; fitted into `seconds`."""
    begun = time.monotonic()
    faces = held_out_faces(20, 4).to(device)
    trainer, path = Trainer(plan, net, faces[:, 0], device), out / f"tuned_{name}.pt"
    if path.exists():
        trainer.restore(torch.load(path, weights_only=True, map_location=device))
    bank_path = out / f"bank_{name}.pt"
    if not bank_path.exists():
        bank = make_bank(images, factors(*images.shape[:2]).to(device), plan)
        parts = [(t * 255).round().to(torch.uint8).cpu() for t in (bank.reference, bank.near, bank.far)]
        torch.save({"pictures": parts, "kinds": bank.kinds}, bank_path)
    stored = torch.load(bank_path, weights_only=True)
    bank = Triplets(*(p.float() / 255 for p in stored["pictures"]), stored["kinds"])
    losses, start = [], time.time()
    while trainer.step_number < trainer.plan.steps:
        losses.append(trainer.step(images, bank))
        if trainer.step_number % plan.log_every == 0 or trainer.step_number == trainer.plan.steps:
            known = verify(trainer.result(), faces)
            speed = len(losses) / (time.time() - start)
            means = torch.stack(losses).mean(0).tolist()
            log(out / f"tuned_{name}.csv", trainer.step_number, means, known, speed)
            if seconds is not None and not trainer.fitted:  # the first line's speed: a little slow, to be in time
                trainer.fit(trainer.step_number + int(max(0, begun + seconds - time.monotonic()) * speed))
            torch.save(trainer.state(), path.with_suffix(".tmp"))
            os.replace(path.with_suffix(".tmp"), path)
            save_portrait_net(trainer.result(), out / f"features_{name}.safetensors")
            losses, start = [], time.time()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of render_training_set.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--net", choices=sorted(CONFIGS), required=True)
    parser.add_argument("--start-from", type=Path, required=True, help="a net of train_features.py")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--balance", type=float, default=Plan.balance, help="weight of uneven shares (%(default)s)")
    parser.add_argument("--seconds", type=float, help="of this program, into which the steps are fitted")
    parser.add_argument("--bank", type=int, default=Plan.bank, help="stored triplets of each of six slow sets")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    device, seed = torch.device(args.device), CONFIGS[args.net][1]
    plan = Plan(seed, args.steps, args.batch, args.batch // 2, args.rate, balance=args.balance, bank=args.bank)
    images = load_images(args.data / "images.npy", device)
    tune(plan, load_portrait_net(args.start_from), images, args.out, args.net, device, args.seconds)


if __name__ == "__main__":
    main()
