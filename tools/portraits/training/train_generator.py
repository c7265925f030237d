"""Train the embedded StyleGAN2: distil the renderer, then sharpen with an adversary.

    torchrun --nproc-per-node 2 -m tools.portraits.training.train_generator --data FOLDER --out FOLDER    (CPU, gloo)
    python -m tools.portraits.training.train_generator --data FOLDER --out FOLDER --device cuda           (one GPU)

Resumes from FOLDER/state.pt; writes log.csv, sheet.png and, at the end, generator.safetensors. Schedules count images,
not minutes; what step s sees depends on the seed and s alone. `--prior FILE` trains a finished prior further, mapping
network and all, instead of a new one; `--forget-noise` draws its noise maps anew. With `--seconds N` the last stage
is made as long as N seconds of the program allow, by the speed of its first steps: for a machine that is lent.
"""

import argparse
import csv
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist

from rusr_core.arithmetic import flushed_denormals
from rusr_core.checkpoints import load_portrait_net, save_generator
from tools.portraits import DATA
from tools.portraits.render import sheet
from tools.portraits.training.distillation import shrink
from tools.portraits.training.latent_network import centre_mapping, regress_mapping
from tools.portraits.training.plan import Plan
from tools.portraits.training.trainer import Trainer
from tools.portraits.training.training_set import TrainingSet, World


@torch.no_grad()
def report(trainer: Trainer, data: TrainingSet, out: Path, row: dict) -> None:
    """Append a line to log.csv and draw a sheet: outputs beside renders that training never saw.

    The line holds the PSNR with noise off against renders without fine detail; the sheet shows the stored noise as soon
    as it means something, in the adversarial stage.
    """
    z, x, flat = data.held_out()
    size = trainer.plan.size(trainer.seen - 1)
    bare = torch.cat([trainer.output(c, size, average=True) for c in z.split(16)]).clamp(-1, 1)
    error = (bare - shrink(flat, size)).div(2).square().mean((1, 2, 3))
    row = {**row, "size": size, "psnr": round((-10 * torch.log10(error)).mean().item(), 3)}
    new = not (out / "log.csv").exists()
    with (out / "log.csv").open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)
    noise = "const" if trainer.plan.stage(trainer.seen - 1) == 3 else "none"
    outputs = torch.cat([trainer.output(c, size, average=True, noise=noise) for c in z[:24].split(16)]).clamp(-1, 1)
    large = torch.nn.functional.interpolate(outputs, size=128)
    sheet(torch.stack([large, x[:24]], 1).flatten(0, 1) * 0.5 + 0.5).save(out / "sheet.png")


def save_state(trainer: Trainer, out: Path) -> None:
    """Write state.pt whole or not at all."""
    torch.save(trainer.state(), out / "state.tmp")
    os.replace(out / "state.tmp", out / "state.pt")


def finish(trainer: Trainer, out: Path) -> None:
    """Give the averaged synthesis its plain mapping network and write the prior."""
    G = trainer.G_ema.to("cpu", memory_format=torch.contiguous_format)
    G.requires_grad_(False)
    G.mapping.requires_grad_(True)
    if trainer.latents_ema is None:
        centre_mapping(G, trainer.plan.seed)
    else:
        missed = regress_mapping(G, trainer.latents_ema.cpu(), trainer.plan.mapping_steps, trainer.plan.seed)
        print(f"mapping: {missed:.4f} of the latent variance not explained")
    w_std = G.requires_grad_(False).mapping.measure_std()
    header = {"images": str(trainer.seen), "w_std": f"{w_std:.4f}", "networks": "portraits"}
    save_generator(G, out / "generator.safetensors", header, half=True)


class Clock:
    """Fits the last stage into `seconds` (None: it stays as planned), by the speed of its steps 20 to 60."""

    WARM, MEASURED = 20, 40

    def __init__(self, seconds: float | None):
        self.end, self.since = None if seconds is None else time.monotonic() + seconds, None

    def look(self, trainer: Trainer) -> None:
        """To be called before every step."""
        plan = trainer.plan
        if self.end is None or trainer.fitted or trainer.seen < sum(plan.images[:3]):
            return
        steps = (trainer.seen - sum(plan.images[:3])) // plan.batch
        if steps not in (self.WARM, self.WARM + self.MEASURED):
            return
        if trainer.device.type == "cuda":
            torch.cuda.synchronize(trainer.device)
        now = time.monotonic()
        if steps == self.WARM:
            self.since = now
        elif self.since is not None:
            speed = self.MEASURED * plan.batch / (now - self.since)
            trainer.fit(speed, self.end - now)
            print(f"{speed:.0f} pictures a second: {trainer.plan.images[3]} in the last stage", flush=True)


@flushed_denormals()
def train(plan: Plan, args: argparse.Namespace, device: torch.device, world: World) -> None:
    """Run the plan to its end, from wherever the last run stopped."""
    out, clock = args.out, Clock(args.seconds)
    torch.backends.cudnn.benchmark = device.type == "cuda"  # every step has one of four shapes
    net = load_portrait_net(args.features).to(device)
    trainer = Trainer(plan, device, net.config.channels, args.prior, args.forget_noise)
    data = TrainingSet(args.data, plan.batch, plan.seed, world, device)
    if (out / "state.pt").exists():
        trainer.restore(torch.load(out / "state.pt", weights_only=True, map_location=device))
    losses, start, first = [], time.time(), trainer.seen
    while trainer.seen < sum(trainer.plan.images):
        clock.look(trainer)
        z, x, flat = data.batch(trainer.seen)
        adversarial = plan.stage(trainer.seen) == 3
        losses.append(trainer.sharpen(z, x, net, world) if adversarial else trainer.distil(z, flat, net, world))
        if world.rank == 0 and trainer.seen // plan.log_every > (trainer.seen - plan.batch) // plan.log_every:
            loss, speed = torch.stack(losses).mean().item(), (trainer.seen - first) / (time.time() - start)
            row = {"images": trainer.seen, "loss": round(loss, 5), "images_per_s": round(speed, 1)}
            report(trainer, data, out, row)
            save_state(trainer, out)
            losses, start, first = [], time.time(), trainer.seen
    if world.rank == 0:
        save_state(trainer, out)
        finish(trainer, out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of render_training_set.py")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--features", type=Path, default=DATA / "features_a.safetensors", help="feature net")
    parser.add_argument("--prior", type=Path, help="a generator.safetensors to train further")
    parser.add_argument("--forget-noise", action="store_true", help="draw the prior's noise maps anew, faintly")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, nargs=4, default=Plan.images, metavar="N", help="images a stage")
    parser.add_argument("--rate", type=float, default=Plan.rate)
    parser.add_argument("--last-rate", type=float, default=Plan.last_rate)
    parser.add_argument("--batch", type=int, default=Plan.batch)
    parser.add_argument("--seconds", type=float, help="of this program, into which the last stage is fitted")
    parser.add_argument("--ema-images", type=int, default=Plan.ema_images, help="memory of the averaged weights")
    args = parser.parse_args()
    world = World(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
    if world.size > 1:
        dist.init_process_group("gloo")
        torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(
        images=tuple(args.images), seed=args.seed, rate=args.rate, last_rate=args.last_rate, batch=args.batch,
        ema_images=args.ema_images, log_every=max(args.batch, sum(args.images) // 30),
    )  # fmt: skip
    train(plan, args, torch.device(args.device), world)


if __name__ == "__main__":
    main()
