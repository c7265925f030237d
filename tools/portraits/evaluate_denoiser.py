"""Measure a denoiser: what its card reports, beside the linear denoiser and the generator.

    python -m tools.portraits.evaluate_denoiser FILE --data FOLDER --out measured.json --sheet samples.png
    python -m tools.portraits.evaluate_denoiser FILE --data FOLDER --samples 5000 --device cuda

PSNR of D at nine noise levels on people that the training never saw, beside the linear denoiser's; then FID-portraits
of samples against fresh renders, beside the generator's on the same renders. `--samples 0` leaves that out. Written
with it are the digest of the weights and how many pictures they have seen.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.checkpoints import load_denoiser, load_portrait_net, read_metadata
from rusr_core.commands.ending import ended
from rusr_core.commands.options import count, device_of, whole
from rusr_core.files import check_writable, write_atomic
from rusr_core.images import check_writable as check_picture
from rusr_core.images import save_image
from rusr_core.latents import sample_w
from rusr_core.limits import MAX_COUNT
from rusr_core.metrics.realism import frechet
from rusr_core.networks.denoiser import Denoiser
from rusr_core.networks.digests import weights_digest
from tools.portraits import DATA
from tools.portraits.evaluate import CHUNK, FEWEST, RENDER_SEED, SAMPLE_SEED, pooled, prior_of
from tools.portraits.render import sheet
from tools.portraits.renderer import render, sample_z
from tools.portraits.renderer.textures import SEED
from tools.portraits.sample_statistics import precision_recall
from tools.portraits.training.denoising import LEVELS, Portraits, accuracy
from tools.portraits.training.linear_denoiser import LinearDenoiser
from tools.portraits.training.render_training_set import DRAWS, normalized
from tools.portraits.training.training_set import HELD_OUT

FITTED = 3_000  # people that the linear denoiser is measured on, at most
# Noise levels of a sample and their spacing: EDM's (table 1), but for the first. A sample begins as noise alone, which
# is right where noise drowns the data. The strongest mode of the portraits has the standard deviation 39 in units of
# that noise (a plain background fills most of a picture): at EDM's 80 a fifth of its variance there would be missing,
# at 300 a sixtieth is. Training ends at 80; at 300 the denoiser is 0.05 dB behind a linear one, at 1000 0.6 dB.
HIGH, LOW, POWER = 300.0, 0.002, 7


@torch.no_grad()
def sample(denoise, noise: Tensor, steps: int = 40, high: float = HIGH) -> Tensor:
    """Images of noise's shape in [-1, 1], by Heun's method along the probability flow (EDM, algorithm 1).

    The denoiser is asked 2 `steps` - 1 times; `noise` is normal, `high` its standard deviation at the first level. With
    40 steps the spread of Gaussian data is right to 2 % where it is that of the portraits, 0.35; with 18, to 10 %.
    """
    ends = high ** (1 / POWER), LOW ** (1 / POWER)
    levels = [(ends[0] + i / (steps - 1) * (ends[1] - ends[0])) ** POWER for i in range(steps)] + [0.0]
    x = high * noise
    for now, then in itertools.pairwise(levels):
        slope = (x - denoise(x, now)) / now
        there = x + (then - now) * slope
        if then:
            slope = (slope + (there - denoise(there, then)) / then) / 2
        x = x + (then - now) * slope
    return x


def levels(denoiser: Denoiser, data: Portraits, people: int = HELD_OUT) -> dict[str, dict[str, float]]:
    """PSNR in dB at each noise level of people held out: the denoiser's, the linear denoiser's, and the difference."""
    clean = data.held_out(people)
    own, linear = (accuracy(one, clean) for one in (denoiser, LinearDenoiser(data.trained_on(FITTED))))
    rows = zip(LEVELS, own, linear, strict=True)
    return {f"{level:g}": {"denoiser": d, "linear": b, "gain": d - b} for level, d, b in rows}


@torch.no_grad()
def realism(denoiser: Denoiser, count: int, device: str) -> dict[str, float]:
    """FID-portraits, precision and recall of samples and of the generator, both against the same fresh renders."""
    G, judge = prior_of(DATA, device).generator, load_portrait_net(DATA / "features_b.safetensors").to(device)
    g, draws = torch.Generator().manual_seed(SAMPLE_SEED), itertools.cycle(range(SEED + 1, SEED + 1 + DRAWS))
    z, w = normalized(sample_z(RENDER_SEED, count)).to(device), sample_w(G, count, generator=g)
    real = pooled(judge, lambda part: render(part, textures_seed=next(draws)), z)
    made = pooled(judge, lambda part: G.image(part, noise_mode="random", generator=g), w)
    parts = [CHUNK] * (count // CHUNK) + [count % CHUNK] * bool(count % CHUNK)
    side = denoiser.resolution
    noise = (torch.randn(part, 3, side, side, generator=g).to(device) for part in parts)
    drawn = torch.cat([judge.pooled((sample(denoiser, n) / 2 + 0.5).clamp(0, 1)).cpu() for n in noise])
    found = {"samples": count}
    for name, features in (("generator", made), ("denoiser", drawn)):
        precision, recall = precision_recall(real[:5_000], features[:5_000])
        fid = frechet(real, features)
        found |= {f"fid_{name}": fid, f"precision_{name}": precision, f"recall_{name}": recall}
    return found


def samples(text: str) -> int:
    """How many samples are measured, from the command line: 0, or as many as precision and recall need."""
    return 0 if text == "0" else whole(FEWEST, MAX_COUNT)(text)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="denoiser.safetensors of train_denoiser.py")
    parser.add_argument("--data", type=Path, required=True, help="the training set, for its people held out")
    parser.add_argument("--held-out", type=count, default=HELD_OUT, metavar="N", help="of these people (default: all)")
    parser.add_argument("--samples", type=samples, default=1_000, help="for FID-portraits; 0: none")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sheet", type=Path, help="a picture of 32 samples to look at")
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args()
    device = device_of(args.device)
    check_writable(*([args.out] if args.out else []), force=True)
    check_picture(*([args.sheet] if args.sheet else []), force=True)
    denoiser = load_denoiser(args.file).to(device)
    found = {"seen": int(read_metadata(args.file).get("images", 0)), "weights": weights_digest(denoiser)}
    found["levels"] = levels(denoiser, Portraits(args.data, torch.device(device)), args.held_out)
    print(json.dumps(found["levels"]), flush=True)
    if args.sheet:
        side = denoiser.resolution
        noise = torch.randn(32, 3, side, side, generator=torch.Generator().manual_seed(SAMPLE_SEED))
        pictures = torch.cat([sample(denoiser, n.to(device)) for n in noise.split(8)]) / 2 + 0.5
        save_image(sheet(pictures), args.sheet, force=True)
    if args.samples:
        found["realism"] = realism(denoiser, args.samples, device)
        print(json.dumps(found["realism"]), flush=True)
    if args.out:
        write_atomic(args.out, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    sys.exit(ended(main))
