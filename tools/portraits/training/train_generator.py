"""Train the embedded StyleGAN2: distil the renderer, then sharpen with an adversary.

    torchrun --nproc-per-node 2 -m tools.portraits.training.train_generator --data FOLDER --out FOLDER    (CPU, gloo)
    python -m tools.portraits.training.train_generator --data FOLDER --out FOLDER --device cuda           (one GPU)

Resumes from FOLDER/state.pt; writes log.csv, sheet.png and, at the end, generator.safetensors. Schedules
count images, not minutes, so pauses and slow machines change nothing; what step s sees depends on the seed
and s alone. `--prior FILE` trains a finished prior further, mapping network and all, instead of a new one.
"""

import argparse
import copy
import csv
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from rusr_core.checkpoints import load_generator, save_generator
from rusr_core.generator import Generator, GeneratorConfig
from rusr_core.networks.portrait_net import PortraitNet
from tools.portraits import DATA
from tools.portraits.render import sheet
from tools.portraits.renderer import Z_DIM, textures
from tools.portraits.training.adversary import Adversary
from tools.portraits.training.distillation import autocast, feature_loss, pyramid_loss, shrink
from tools.portraits.training.latent_network import FactorNet, centre_mapping, regress_mapping
from tools.portraits.training.path_length import PathLength
from tools.portraits.training.training_set import TrainingSet, World


@dataclass(frozen=True)
class Plan:
    """One training run; `images` are counts per stage: 32, 64 and 128 px, then adversarial at 128 px."""

    channels: tuple[int, ...] = (192, 192, 160, 80, 48, 24)
    w_dim: int = 128
    images: tuple[int, int, int, int] = (200_000, 150_000, 150_000, 100_000)
    batch: int = 16
    rate: float = 1.6e-2
    last_rate: float = 6e-4
    adversarial_rate: float = 5e-3
    feature_weight: float = 0.35
    ema_images: int = 4_000
    mapping_steps: int = 6_000
    seed: int = 0
    log_every: int = 4_096

    def stage(self, seen: int) -> int:
        """0, 1, 2: distillation at 32, 64, 128 px; 3: adversarial."""
        return min(sum(seen >= sum(self.images[: k + 1]) for k in range(3)), 3)

    def learning_rate(self, seen: int) -> float:
        """Warm-up over 3,000 images, then a cosine over the distillation."""
        share = min(1.0, seen / max(sum(self.images[:3]), 1))
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        return min(1.0, (seen + self.batch) / 3_000) * (self.last_rate + (self.rate - self.last_rate) * cosine)

    def adversarial_learning_rate(self, seen: int) -> float:
        """A cosine down to the last rate over the adversarial stage."""
        share = min(1.0, (seen - sum(self.images[:3])) / max(self.images[3], 1))
        cosine = 0.5 * (1 + math.cos(math.pi * share))
        return self.last_rate + (self.adversarial_rate - self.last_rate) * cosine


def new_generator(plan: Plan) -> Generator:
    """An untrained generator whose noise inputs start as the renderer's own textures, faintly.

    The outputs of the blocks above 32 px start at zero, so that a new stage begins with what the last one
    learned.
    """
    config = GeneratorConfig(128, plan.channels, z_dim=Z_DIM, w_dim=plan.w_dim, mapping_layers=4, layer_features=384)
    G = Generator(config)
    for size in (32, 64, 128):
        t = textures(size, torch.device("cpu"))
        line = torch.arange(size) * (2 / size) - 1
        low = (line > 0.72).float()[:, None]
        block = getattr(G.synthesis, f"b{size}")
        block.conv0.noise_const.copy_(t.straight[0] * (1 - low) + t.knit[0] * low)
        block.conv1.noise_const.copy_((t.wavy[0] if size == 128 else t.canvas[0]) * (1 - low) + t.weave[0] * low)
        for layer in (block.conv0, block.conv1):
            layer.noise_strength.data.fill_(0.05)
        if size > 32:
            block.torgb.weight.data.zero_()
    return G


class Trainer:
    """Everything that training changes: the networks, their averages, the optimisers, and the count of images.

    A new generator gets its latents from a `FactorNet`; a finished one, read from `start`, from its own mapping
    network, which is trained with the rest.
    """

    def __init__(self, plan: Plan, device: torch.device, channels: tuple[int, ...], start: Path | None = None):
        self.plan, self.device, self.seen = plan, device, 0
        with torch.random.fork_rng(devices=[]):  # a plan's seed gives its weights; nobody else's numbers change
            torch.manual_seed(plan.seed)
            G = new_generator(plan) if start is None else load_generator(start)
            self.latents = FactorNet(plan.w_dim).to(device) if start is None else None
        self.G = G.to(device, memory_format=torch.channels_last)
        self.G.synthesis.requires_grad_(True)
        self.G.mapping.requires_grad_(start is not None)
        self.maps = [b.requires_grad_(True) for n, b in self.G.named_buffers() if n.endswith("noise_const")]
        self.G_ema, self.latents_ema = copy.deepcopy(self.G), copy.deepcopy(self.latents)
        latents = list((self.G.mapping if self.latents is None else self.latents).parameters())
        self.weights = [*self.G.synthesis.parameters(), *latents]
        strengths = {id(p) for n, p in self.G.named_parameters() if n.endswith("noise_strength")}
        # a mapping network's weights are stored divided by its rate multiplier, and here want a quarter of the rate
        share = 1.0 if start is None else 0.25 / self.G.config.mapping_lr
        groups = [
            {"params": [p for p in self.G.synthesis.parameters() if id(p) not in strengths], "share": 1.0},
            {"params": [p for p in self.weights if id(p) in strengths], "share": 0.1},
            {"params": self.maps, "share": 0.5},
            {"params": latents, "share": share},
        ]
        self.optimizer = torch.optim.Adam(groups, lr=plan.rate, betas=(0.9, 0.99))
        self.path_length = PathLength()
        self.adversary = Adversary(plan.seed, channels).to(device)

    def state(self) -> dict:
        """What a resumed run needs."""
        modules = {name: m.state_dict() for name, m in self._modules().items()}
        return {
            **modules,
            "optimizer": self.optimizer.state_dict(),
            "path_length": self.path_length.mean,
            "seen": self.seen,
        }

    def _modules(self) -> dict[str, torch.nn.Module]:
        names = ("G", "latents", "G_ema", "latents_ema", "adversary")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def restore(self, state: dict) -> None:
        """Continue from `state()`."""
        for name, module in self._modules().items():
            module.load_state_dict(state[name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.path_length.mean, self.seen = state["path_length"], state["seen"]

    def latent(self, z: Tensor, average: bool = False) -> Tensor:
        """Latents `[N, D]` of z."""
        G, latents = (self.G_ema, self.latents_ema) if average else (self.G, self.latents)
        return (G.mapping.to_w(z) if latents is None else latents(z)).float()

    def output(self, z: Tensor, size: int, average: bool = False) -> Tensor:
        """Pictures `[N, 3, size, size]` about [-1, 1]."""
        G = self.G_ema if average else self.G
        with autocast(self.device):
            return G.synthesis(self.latent(z, average), max_resolution=size).float()

    def update_averages(self) -> None:
        """Exponential moving averages; their memory grows with the count of images."""
        memory = min(self.plan.ema_images, 0.1 * self.seen + self.plan.batch)
        keep = 1 - self.plan.batch / (memory + self.plan.batch)
        with torch.no_grad():
            for average, current in ((self.G_ema, self.G), (self.latents_ema, self.latents)):
                if current is None:
                    continue
                pair = (list(module.state_dict().values()) for module in (average, current))
                torch._foreach_lerp_(*pair, 1 - keep)

    def distil(self, z: Tensor, x: Tensor, net: PortraitNet, world: World) -> Tensor:
        """One step of distillation; returns the loss before it."""
        size = (32, 64, 128)[min(self.plan.stage(self.seen), 2)]
        output, target = self.output(z, size), shrink(x, size)
        loss = pyramid_loss(output, target)
        if size >= 64 and self.plan.feature_weight:
            with autocast(self.device):
                loss = loss + self.plan.feature_weight * feature_loss(net, output, target)
        self.optimizer.zero_grad()
        loss.backward()
        self.step(self.plan.learning_rate(self.seen), world)
        return loss.detach()

    def step(self, rate: float, world: World) -> None:
        """Average the gradients over the processes, then one step of Adam and of the averages."""
        world.average([*self.weights, *self.maps])
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.optimizer.step()
        self.seen += self.plan.batch
        self.update_averages()


@torch.no_grad()
def report(trainer: Trainer, data: TrainingSet, out: Path, row: dict) -> None:
    """Append a line to log.csv and draw a sheet: outputs beside renders that training never saw."""
    z, x = data.held_out()
    size = (32, 64, 128, 128)[trainer.plan.stage(trainer.seen - 1)]
    outputs = torch.cat([trainer.output(c, size, average=True) for c in z.split(16)]).clamp(-1, 1)
    error = (outputs - shrink(x, size)).div(2).square().mean((1, 2, 3))
    row = {**row, "size": size, "psnr": round((-10 * torch.log10(error)).mean().item(), 3)}
    new = not (out / "log.csv").exists()
    with (out / "log.csv").open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    large = torch.nn.functional.interpolate(outputs, size=128)
    pairs = torch.stack([large[:24], x[:24]], 1).flatten(0, 1)
    sheet(pairs * 0.5 + 0.5).save(out / "sheet.png")


def finish(trainer: Trainer, out: Path) -> None:
    """Give the averaged synthesis its plain mapping network and write the prior."""
    G = trainer.G_ema.to("cpu", memory_format=torch.contiguous_format)
    G.requires_grad_(False)
    G.mapping.requires_grad_(True)
    with torch.no_grad():  # a noise map has unit deviation; its strength carries the scale
        for module in G.synthesis.modules():
            if hasattr(module, "noise_const"):
                scale = module.noise_const.std().clamp_min(1e-8)
                module.noise_const.div_(scale)
                module.noise_strength.mul_(scale)
    if trainer.latents_ema is None:
        centre_mapping(G, trainer.plan.seed)
    else:
        missed = regress_mapping(G, trainer.latents_ema.cpu(), trainer.plan.mapping_steps, trainer.plan.seed)
        print(f"mapping: {missed:.4f} of the latent variance not explained")
    header = {"images": str(trainer.seen), "w_radius": f"{G.requires_grad_(False).mapping.measure_std():.4f}"}
    save_generator(G, out / "generator.safetensors", header, half=True)


def train(plan: Plan, args: argparse.Namespace, device: torch.device, world: World) -> None:
    """Run the plan to its end, from wherever the last run stopped."""
    torch.set_flush_denormal(True)
    out = args.out
    net = PortraitNet.load(args.features, device)
    trainer = Trainer(plan, device, net.config.channels, args.prior)
    data = TrainingSet(args.data, plan.batch, plan.seed, world, device)
    if (out / "state.pt").exists():
        trainer.restore(torch.load(out / "state.pt", weights_only=True, map_location=device))
    losses, start, first = [], time.time(), trainer.seen
    while trainer.seen < sum(plan.images):
        z, x = data.batch(trainer.seen)
        if plan.stage(trainer.seen) < 3:
            losses.append(trainer.distil(z, x, net, world))
        else:
            losses.append(trainer.adversary.step(trainer, z, x, net, world))
        if world.rank == 0 and trainer.seen // plan.log_every > (trainer.seen - plan.batch) // plan.log_every:
            speed = (trainer.seen - first) / (time.time() - start)
            row = {
                "images": trainer.seen,
                "loss": round(torch.stack(losses).mean().item(), 5),
                "images_per_s": round(speed, 1),
            }
            report(trainer, data, out, row)
            torch.save(trainer.state(), out / "state.tmp")
            os.replace(out / "state.tmp", out / "state.pt")
            losses, start, first = [], time.time(), trainer.seen
    if world.rank == 0:
        torch.save(trainer.state(), out / "state.pt")
        finish(trainer, out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of render_training_set.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--features", type=Path, default=DATA / "features_a.safetensors", help="feature net")
    parser.add_argument("--prior", type=Path, help="a generator.safetensors to train further")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, nargs=4, default=Plan.images, metavar="N", help="images a stage")
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--last-rate", type=float, default=Plan.last_rate)
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--ema-images", type=int, default=Plan.ema_images, help="memory of the averaged weights")
    args = parser.parse_args()
    world = World(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
    if world.size > 1:
        dist.init_process_group("gloo")
        torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        images=tuple(args.images), seed=args.seed, rate=args.rate, last_rate=args.last_rate, batch=args.batch,
        ema_images=args.ema_images, log_every=max(Plan.log_every, sum(args.images) // 60),
    )  # fmt: skip
    train(plan, args, torch.device(args.device), world)


if __name__ == "__main__":
    main()
