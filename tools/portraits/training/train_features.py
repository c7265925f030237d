"""Train a feature net to know people apart (ArcFace); tune_features.py then teaches it to judge pictures.

    python -m tools.portraits.training.train_features --data FOLDER --out FOLDER --net a    # restoration optimises it
    python -m tools.portraits.training.train_features --data FOLDER --out FOLDER --net b    # it only judges

The two nets differ in seed, widths and the order of their data. Resumes from FOLDER/features_X.pt; writes
FOLDER/features_X.csv and FOLDER/people_X.safetensors. Schedules count images, not minutes.
"""

import argparse
import csv
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core.arithmetic import flushed_denormals
from rusr_core.checkpoints import save_portrait_net
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig
from tools.portraits.training.distillation import autocast
from tools.portraits.training.training_set import load_images, pick
from tools.portraits.training.verification import held_out_faces, verify

CONFIGS = {
    "a": (PortraitNetConfig(channels=(24, 48, 80, 128, 192)), 1),
    "b": (PortraitNetConfig(channels=(20, 40, 72, 112, 160)), 2),
}
SCALE, MARGIN = 20.0, 0.25  # Deng et al., "ArcFace", CVPR 2019, eq. 3; both gentler, for a few thousand people


@dataclass(frozen=True)
class Plan:
    """One training run; counts are images."""

    config: PortraitNetConfig
    seed: int
    images: int = 50_000
    batch: int = 64
    rate: float = 2.5e-3
    decay: float = 2e-4
    log_every: int = 6_400

    def learning_rate(self, seen: int) -> float:
        """Warm-up over 50 steps, then a cosine."""
        cosine = 0.5 * (1 + math.cos(math.pi * min(1, seen / self.images)))
        return self.rate * min(1, (seen + self.batch) / (50 * self.batch)) * (0.02 + 0.98 * cosine)


class ArcFace(nn.Module):
    """Softmax over cosines to one direction a person; the right one has to win by an angle."""

    def __init__(self, people: int, embedding: int):
        super().__init__()
        self.directions = nn.Parameter(0.1 * torch.randn(people, embedding))

    def forward(self, embedded: Tensor, person: Tensor, margin: float) -> Tensor:
        """Embeddings `[N, E]` of unit norm, persons `[N]` -> mean cross-entropy."""
        cosine = (embedded @ F.normalize(self.directions, dim=1).t()).clamp(-1 + 1e-5, 1 - 1e-5)
        right = torch.cos(torch.acos(cosine.gather(1, person[:, None])) + margin)
        return F.cross_entropy(SCALE * cosine.scatter(1, person[:, None], right), person)


def degrade_some(x: Tensor, g: torch.Generator) -> Tensor:
    """Degrade two in five of a batch in [0, 1]: small sizes and noise, as restoration inputs are."""
    count = 2 * len(x) // 5
    size = (64, 32, 16)[torch.randint(3, (), generator=g)]
    small = F.interpolate(F.avg_pool2d(x[:count], x.shape[-1] // size), x.shape[-1], mode="bilinear")
    strength = 0.08 * torch.rand(count, 1, 1, 1, generator=g).to(x.device)
    grain = torch.Generator(x.device).manual_seed(g.initial_seed() + 1)
    noisy = small + strength * torch.randn(small.shape, generator=grain, device=x.device)
    return torch.cat([noisy.clamp(0, 1), x[count:]]).contiguous(memory_format=torch.channels_last)


class Trainer:
    """The net, its ArcFace head and their optimiser."""

    def __init__(self, plan: Plan, people: int, device: torch.device):
        self.plan, self.device, self.seen = plan, device, 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            self.net = PortraitNet(plan.config, batch_norm=True).to(device, memory_format=torch.channels_last)
            self.head = ArcFace(people, plan.config.embedding).to(device)
        self.parameters = [*self.net.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(self.parameters, lr=plan.rate, weight_decay=plan.decay)

    def step(self, images: np.ndarray | Tensor) -> Tensor:
        """One step on a batch that depends on the seed and on the count of images alone."""
        plan, g = self.plan, torch.Generator().manual_seed(self.plan.seed * 1_000_003 + self.seen)
        person = torch.randint(len(images), (plan.batch,), generator=g).to(self.device)
        view = torch.randint(images.shape[1], (plan.batch,), generator=g).to(self.device)
        x = degrade_some(pick(images, person, view).float() / 255, g)
        with autocast(self.device):
            last = self.net.activations(x)[-1]
        embedded = F.normalize(self.net.project_norm(self.net.project(last.float().flatten(1))), dim=1)
        loss = self.head(embedded, person, MARGIN * min(1, self.seen / (0.4 * plan.images)))
        for group in self.optimizer.param_groups:
            group["lr"] = plan.learning_rate(self.seen)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.seen += plan.batch
        return loss.detach()

    def state(self) -> dict:
        """What a resumed run needs."""
        parts = {"net": self.net, "head": self.head, "optimizer": self.optimizer}
        return {**{name: part.state_dict() for name, part in parts.items()}, "seen": self.seen}

    def restore(self, state: dict) -> None:
        """Inverse of `state`."""
        self.net.load_state_dict(state["net"])
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.seen = state["seen"]


def report(trainer: Trainer, faces: Tensor, loss: float, path: Path) -> None:
    """Append the loss and the verification accuracy on held-out people to a CSV file."""
    trainer.net.eval()
    accuracy = verify(trainer.net, faces)
    trainer.net.train()
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(("images", "loss", "accuracy"))
        writer.writerow((trainer.seen, round(loss, 4), round(accuracy, 4)))


@flushed_denormals()
def train(plan: Plan, images: np.ndarray | Tensor, out: Path, name: str, device: torch.device) -> PortraitNet:
    """Run the plan to its end, from wherever the last run stopped; returns the folded net."""
    trainer, faces = Trainer(plan, len(images), device), held_out_faces(40, 4).to(device)
    path = out / f"features_{name}.pt"
    if path.exists():
        trainer.restore(torch.load(path, weights_only=True, map_location=device))
    losses = []
    while trainer.seen < plan.images:
        losses.append(trainer.step(images))
        if trainer.seen % plan.log_every == 0 or trainer.seen >= plan.images:
            report(trainer, faces, torch.stack(losses).mean().item(), out / f"features_{name}.csv")
            torch.save(trainer.state(), path.with_suffix(".tmp"))
            os.replace(path.with_suffix(".tmp"), path)
            losses = []
    return trainer.net.eval().folded()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of render_training_set.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--net", choices=sorted(CONFIGS), required=True)
    parser.add_argument("--images", type=int, default=Plan.images)
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    (config, seed), device = CONFIGS[args.net], torch.device(args.device)
    images = load_images(args.data / "images.npy", device)
    plan = Plan(config, seed, args.images, args.batch, log_every=max(100, args.images // args.batch // 20) * args.batch)
    save_portrait_net(train(plan, images, args.out, args.net, device), args.out / f"people_{args.net}.safetensors")


if __name__ == "__main__":
    main()
