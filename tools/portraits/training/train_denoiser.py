"""Train the denoiser of the portraits, the prior of the diffusion rivals, on the generator's training set.

    python -m tools.portraits.training.train_denoiser --data FOLDER --out FOLDER --images 60000            (one process)
    torchrun --nproc-per-node 2 -m tools.portraits.training.train_denoiser --data FOLDER --out FOLDER    (CPU, gloo)
    python -m tools.portraits.training.train_denoiser --data FOLDER --out FOLDER --device cuda --batch 256 \\
        --images 4000000 --flat-images 500000                                                              (one GPU)
    python -m tools.portraits.training.train_denoiser --data FOLDER --out FOLDER --images 200000 \\
        --start-from data/portraits/denoiser.safetensors                             (goes on with what is shipped)

Resumes from OUT/state.pt, which is written every `--save-minutes`, with OUT/denoiser.safetensors, the average so far.
What a step sees depends on the seed and the images seen alone, and neither the learning rate nor the average needs to
know the end: a run that was finished goes on with a larger `--images`. OUT/log.csv has the PSNR at nine noise levels
on people that training never sees.
"""

import argparse
import csv
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist

from rusr_core.arithmetic import flushed_denormals
from rusr_core.checkpoints import load_denoiser, read_metadata, save_denoiser
from rusr_core.networks.denoiser import DenoiserConfig
from tools.portraits.training.denoising import LEVELS, DenoiserTrainer, DenoisingPlan, Portraits, accuracy
from tools.portraits.training.training_set import World

JUDGED = 16  # people held out whose PSNR is logged


def report(trainer: DenoiserTrainer, data: Portraits, out: Path, row: dict) -> None:
    """Append a line to log.csv: the average's PSNR at each noise level on people held out."""
    scores = accuracy(trainer.average, data.held_out(JUDGED))
    row = row | {f"psnr_{level:g}": round(score, 3) for level, score in zip(LEVELS, scores, strict=True)}
    new = not (out / "log.csv").exists()
    with (out / "log.csv").open("a", newline="") as file:
        writer = csv.DictWriter(file, row)
        if new:
            writer.writeheader()
        writer.writerow(row)


def save(trainer: DenoiserTrainer, out: Path) -> None:
    """Write state.pt and the average, each whole or not at all."""
    torch.save(trainer.state(), out / "state.tmp")
    os.replace(out / "state.tmp", out / "state.pt")
    save_denoiser(trainer.average, out / "denoiser.safetensors", {"images": str(trainer.seen)})


@flushed_denormals()
def train(plan: DenoisingPlan, args: argparse.Namespace, device: torch.device, world: World) -> None:
    """Run the plan to its end, from wherever the last run stopped."""
    data, config, out = Portraits(args.data, device), DenoiserConfig(), args.out
    trainer = DenoiserTrainer(plan, config, data.reduced(config.coarse), device)
    if (out / "state.pt").exists():
        trainer.restore(torch.load(out / "state.pt", weights_only=True, map_location=device))
    elif args.start_from:
        trainer.start(load_denoiser(args.start_from), int(read_metadata(args.start_from).get("images", 0)))
    losses, start, first, saved = [], time.time(), trainer.seen, time.time()
    while trainer.seen < plan.images:
        losses.append(trainer.step(data.batch(plan, trainer.seen, world), world))
        if world.rank:
            continue
        if trainer.seen // args.log_every > (trainer.seen - plan.batch) // args.log_every:
            loss, speed = torch.stack(losses).mean().item(), (trainer.seen - first) / (time.time() - start)
            report(
                trainer, data, out, {"images": trainer.seen, "loss": round(loss, 5), "images_per_s": round(speed, 2)}
            )
            losses, start, first = [], time.time(), trainer.seen
        if time.time() - saved > 60 * args.save_minutes:
            save(trainer, out)
            saved = time.time()
    if world.rank == 0:
        save(trainer, out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of render_training_set.py")
    parser.add_argument("--out", type=Path, required=True)
    words = "a denoiser to go on with, where OUT has none; its average alone"
    parser.add_argument("--start-from", type=Path, metavar="FILE", help=words)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=DenoisingPlan.images, metavar="N", help="images to see in all")
    parser.add_argument("--batch", type=int, default=DenoisingPlan.batch)
    parser.add_argument("--rate", type=float, default=DenoisingPlan.rate)
    parser.add_argument("--flat-images", type=int, default=DenoisingPlan.flat_images, help="before the rate falls")
    parser.add_argument("--log-every", type=int, default=1_000, metavar="N", help="images between lines of log.csv")
    parser.add_argument("--save-minutes", type=float, default=2.0)
    args = parser.parse_args()
    world = World(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))
    if world.size > 1:
        dist.init_process_group("gloo")
        torch.set_num_threads(1)
    args.out.mkdir(parents=True, exist_ok=True)
    plan = DenoisingPlan(
        images=args.images, batch=args.batch, rate=args.rate, flat_images=args.flat_images, seed=args.seed
    )
    train(plan, args, torch.device(args.device), world)


if __name__ == "__main__":
    main()
