"""Measure a prior, the shipped one or a candidate: everything the model card reports but the judges' bench.

    python -m tools.portraits.evaluate --samples 10000 --inversions 20 --out measured.json
    python -m tools.portraits.evaluate --weights FOLDER --judge FOLDER/features_b.safetensors --out measured.json

Every part prints one line as soon as it is known. `--only noise,realism,space,inversion,nets,cost` chooses parts.
Samples have fresh noise, as those of a StyleGAN2 have, and renders another draw of the fine detail in each chunk.
"""

import argparse
import itertools
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.checkpoints import load_generator, load_portrait_net
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError, device_of, whole
from rusr_core.degradations import Resize
from rusr_core.files import check_writable, json_object, write_atomic
from rusr_core.images import load_image, resize, save_image
from rusr_core.latents import mean_w, sample_w
from rusr_core.limits import MAX_COUNT
from rusr_core.losses import MultiscaleLPIPS
from rusr_core.metrics import psnr
from rusr_core.metrics.realism import frechet
from rusr_core.networks.portrait_net import PortraitNet
from rusr_core.presets import PRESETS
from rusr_core.prior import Prior
from rusr_core.priors.load import PORTRAITS_X
from rusr_core.restore import restore
from tools.portraits import DATA
from tools.portraits.make_test import IN_RANGE
from tools.portraits.render import sheet
from tools.portraits.renderer import render, sample_z
from tools.portraits.renderer.textures import SEED
from tools.portraits.sample_statistics import precision_recall
from tools.portraits.training.render_training_set import DRAWS, normalized
from tools.portraits.training.verification import held_out_faces, verify

RENDER_SEED, FLOOR_SEED, SAMPLE_SEED = 920_000, 920_001, 31_337
CHUNK = 50
FEWEST = 4  # samples, one more than the neighbours that precision and recall look at
SHEETS = ("samples.png", "noise.png", "truncated.png", "interpolations.png")
PARTS = ("noise", "nets", "realism", "space", "inversion", "cost")


@torch.no_grad()
def pooled(net: PortraitNet, pictures: Callable[[Tensor], Tensor], codes: Tensor) -> Tensor:
    """Pooled features `[N, F]`, on the CPU, of what `pictures` makes of codes `[N, D]`."""
    return torch.cat([net.pooled(pictures(part).clamp(0, 1)).cpu() for part in codes.split(CHUNK)])


def prior_of(folder: Path, device: str) -> Prior:
    """The prior of a folder: its generator and its net A."""
    G = load_generator(folder / "generator.safetensors").to(device)
    net = load_portrait_net(folder / "features_a.safetensors").to(device)
    return Prior.of(G, net, net, name=str(folder))


@torch.no_grad()
def noise(prior: Prior, judge: PortraitNet, count: int = 200) -> dict:
    """What the noise inputs hold: pictures with the stored maps against pictures without noise and with fresh noise."""
    g, found = torch.Generator().manual_seed(SAMPLE_SEED + 2), []
    for w in sample_w(prior.generator, count, generator=g).split(CHUNK):
        modes = ({"noise_mode": "const"}, {"noise_mode": "none"}, {"noise_mode": "random", "generator": g})
        stored, bare, fresh = (prior.generator.image(w, **mode).clamp(0, 1) for mode in modes)
        who = judge.embed(stored)
        alike = [(who * judge.embed(x)).sum(1) for x in (bare, fresh)]
        found.append(torch.stack([psnr(bare, stored), psnr(fresh, stored), *alike]))
    bare_db, fresh_db, bare_id, fresh_id = torch.cat(found, 1).cpu()
    return {
        "samples": count,
        "psnr_without_noise": bare_db.mean().item(),
        "psnr_fresh_noise": fresh_db.mean().item(),
        "identity_without_noise": bare_id.mean().item(),
        "identity_fresh_noise": fresh_id.mean().item(),
        "identity_fresh_noise_worst": fresh_id.min().item(),
    }


def realism(prior: Prior, judge: PortraitNet, count: int) -> dict:
    """Frechet distances with the judging net, to renders and between two sets of renders; precision and recall."""
    G, g = prior.generator, torch.Generator().manual_seed(SAMPLE_SEED)
    draws = itertools.cycle(range(SEED + 1, SEED + 1 + DRAWS))
    z = {seed: normalized(sample_z(seed, count)).to(G.mapping.w_avg.device) for seed in (RENDER_SEED, FLOOR_SEED)}
    w = sample_w(G, count, generator=g)
    real, floor = (pooled(judge, lambda part: render(part, textures_seed=next(draws)), codes) for codes in z.values())
    fake, short = (
        pooled(judge, lambda part: G.image(part, noise_mode="random", generator=g), codes)
        for codes in (w, mean_w(G).lerp(w, 0.7))
    )
    number = min(count, 5_000)
    precision, recall = precision_recall(real[:number], fake[:number])
    return {
        "samples": count,
        "fid_portraits": frechet(real, fake),
        "fid_floor": frechet(real, floor),
        "fid_truncated_0.7": frechet(real, short),
        "precision": precision,
        "recall": recall,
        "precision_truncated_0.7": precision_recall(real[:number], short[:number])[0],
        "recall_truncated_0.7": precision_recall(real[:number], short[:number])[1],
    }


@torch.no_grad()
def space(prior: Prior, judge: PortraitNet, count: int = 400, step: float = 0.01) -> dict:
    """W radius, and how even the paths between samples are: perceptual distance a step, squared step as unit."""
    G, g = prior.generator, torch.Generator().manual_seed(SAMPLE_SEED + 1)
    ends = sample_w(G, 2 * count, generator=g)
    share = torch.rand(count, 1, generator=g).to(ends.device)
    here, there = (torch.lerp(ends[:count], ends[count:], share + s) for s in (0.0, step))
    parts = zip(here.split(50), there.split(50), strict=True)
    lengths = torch.cat([judge.distance(G.image(a).clamp(0, 1), G.image(b).clamp(0, 1)) for a, b in parts])
    lengths = lengths / step**2
    return {
        "w_std": prior.w_std,
        "path_length_mean": lengths.mean().item(),
        "path_length_relative_deviation": (lengths.std() / lengths.mean()).item(),
    }


def inversion(prior: Prior, judge: PortraitNet, count: int, preset: str = "cvpr2023") -> dict:
    """Search for clean test portraits (nothing is degraded), and how good each phase gets."""
    chosen = torch.linspace(0, 99, count).round().int().tolist()
    x = torch.cat([load_image(DATA / "test" / f"{i:03d}.png") for i in chosen])
    x = x.to(prior.generator.mapping.w_avg.device)
    result = restore(prior, x, Resize(128), preset=preset)
    phases = {phase.space: psnr(phase.image, x) for phase in result.phases}
    everyone = torch.cat([load_image(DATA / "test" / f"{i:03d}.png") for i in range(100)]).to(x.device)
    with torch.no_grad():  # portraits are independent: neighbours are random pairs
        random_pairs = judge.distance(everyone, everyone.roll(1, 0))
        reached = judge.distance(result.image.clamp(0, 1), x)
    inside = torch.tensor([i < IN_RANGE for i in chosen], device=x.device)
    out = {f"psnr_{name}": values.mean().item() for name, values in phases.items()}
    last = phases[result.phases[-1].space]
    ordered = torch.stack(list(phases.values())).diff(dim=0).gt(0).all(0)
    return {
        "portraits": count,
        "preset": preset,
        **out,
        "psnr_worst": last.min().item(),
        "psnr_in_range": last[inside].mean().item(),
        "psnr_beyond": last[~inside].mean().item() if (~inside).any() else None,
        "share_at_least_27_db": (last >= 27).float().mean().item(),
        "share_w_below_w+_below_w++": ordered.float().mean().item(),
        "lpips_judge": reached.mean().item(),
        "lpips_judge_best_tenth_of_random_pairs": random_pairs.quantile(0.1).item(),
        "seconds_a_portrait": result.seconds / count,
    }


@torch.no_grad()
def nets(folder: Path, device: str) -> dict:
    """Verification of new people, for both nets."""
    faces = held_out_faces(100, 4).to(device)
    quarter = resize(resize(faces.flatten(0, 1), 32), 128, mode="bilinear").clamp(0, 1).unflatten(0, faces.shape[:2])
    out = {}
    for name in "ab":
        net = load_portrait_net(folder / f"features_{name}.safetensors").to(device)
        out[f"verification_{name}"] = verify(net, faces)
        out[f"verification_{name}_after_x4"] = verify(net, quarter)
    return out


def cost(prior: Prior) -> dict:
    """Milliseconds at batch 1: generator alone, and with the loss of preset cvpr2023, forward and backward to W."""
    G, loss = prior.generator, MultiscaleLPIPS(prior.perceptual, levels=6, smallest=16)
    target = loss.target(G.image(mean_w(G)).detach())
    w = sample_w(G, 1, generator=torch.Generator().manual_seed(0)).requires_grad_()

    def median(run: Callable[[], Tensor]) -> float:
        times = []
        for _ in range(15):
            start = time.perf_counter()
            torch.autograd.grad(run().sum(), w)
            times.append(1000 * (time.perf_counter() - start))
        return sorted(times)[7]

    return {
        "threads": torch.get_num_threads(),
        "generator_ms": median(lambda: G.image(w)),
        "generator_and_loss_ms": median(lambda: loss(G.image(w), target)),
    }


def draw(prior: Prior, folder: Path) -> None:
    """Sheets to look at: 64 samples with fresh noise, eight with stored, no and fresh noise, truncated samples, the
    mean and interpolations."""
    G, g = prior.generator, torch.Generator().manual_seed(SAMPLE_SEED)
    with torch.no_grad():
        w = sample_w(G, 64, generator=g)
        drawn = [G.image(w, noise_mode="random", generator=g)]
        modes = ({"noise_mode": "const"}, {"noise_mode": "none"}, {"noise_mode": "random", "generator": g})
        drawn += [torch.cat([G.image(w[:8], **mode) for mode in modes]), G.image(mean_w(G).lerp(w[:32], 0.7))]
        rows = [torch.lerp(w[i], w[i + 1], t) for i in range(0, 8, 2) for t in torch.linspace(0, 1, 8)]
        drawn.append(torch.cat([G.image(mean_w(G)), G.image(torch.stack(rows))]))
    for name, images in zip(SHEETS, drawn, strict=True):
        save_image(sheet(images), folder / name, force=True)


def parts_of(text: str) -> list[str]:
    """The parts that `--only` names."""
    names = text.split(",")
    if wrong := [name for name in names if name not in PARTS]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r}: expected some of {', '.join(PARTS)}, separated by commas")
    return names


def known_so_far(out: Path | None) -> dict:
    """What the file of results holds already. Raises FileError where it cannot be written, CommandError for another."""
    if out is None:
        return {}
    check_writable(out, force=True)
    try:
        return json_object(out.read_bytes()) if out.exists() else {}
    except ValueError as error:
        raise CommandError(f"{out}: holds no results ({error})") from error


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=whole(FEWEST, MAX_COUNT), default=10_000)
    parser.add_argument("--inversions", type=whole(1, PORTRAITS_X), default=20)
    parser.add_argument("--preset", default="cvpr2023", choices=tuple(PRESETS), help="that inverts")
    parser.add_argument("--only", type=parts_of, default=",".join(PARTS))
    parser.add_argument("--weights", type=Path, default=DATA, help="folder of a generator and of nets A and B")
    parser.add_argument("--judge", type=Path, help="net B that judges; that of --weights if left out")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sheets", type=Path, help="folder for sheets to look at")
    parser.add_argument("--out", type=Path, help="JSON file; parts that are not measured keep their entries")
    args = parser.parse_args()
    device, known = device_of(args.device), known_so_far(args.out)
    if args.sheets:
        check_writable(*(args.sheets / name for name in SHEETS), force=True, new_folders=True)
    prior = prior_of(args.weights, device)
    judge = load_portrait_net(args.judge or args.weights / "features_b.safetensors").to(device)
    parts = {
        "noise": lambda: noise(prior, judge),
        "nets": lambda: nets(args.weights, device),
        "realism": lambda: realism(prior, judge, args.samples),
        "space": lambda: space(prior, judge),
        "inversion": lambda: inversion(prior, judge, args.inversions, args.preset),
        "cost": lambda: cost(prior),
    }
    for name in args.only:
        known[name] = parts[name]()
        print(name, json.dumps(known[name]), flush=True)
        if args.out:
            write_atomic(args.out, (json.dumps(known, indent=1) + "\n").encode())
    if args.sheets:
        args.sheets.mkdir(parents=True, exist_ok=True)
        draw(prior, args.sheets)


if __name__ == "__main__":
    sys.exit(ended(main))
