"""Draw what once fooled us: a generator that kept the face in its noise, and judges that liked blur, beside today's.

    python -m tools.portraits.before_after --before FOLDER --out book/_static

FOLDER holds the generator and the nets A and B of before 2026-11-27 (in the repository's history, at commit e70c9c9).
Two pictures are written: `fooled-noise.jpg` shows one row of portraits for each kind of noise, `fooled-judge.png` how
far net B finds four pictures that are equally far from the truth by L1, and a fine mesh.
"""

import argparse
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor

from rusr_core.checkpoints import load_generator, load_portrait_net
from rusr_core.commands.ending import ended
from rusr_core.figures import STYLE, panel
from rusr_core.figures.saving import save_figure
from rusr_core.files import check_writable
from rusr_core.latents import sample_w
from rusr_core.priors import portraits
from tools.portraits import DATA
from tools.portraits.training.distortions import distort
from tools.portraits.training.orders import as_far

PORTRAITS, SEED, COUNT = 3, 12, 40  # so few that their names can be read on a phone
SHIFT, MESH = 2.0, 0.15  # px, amplitude
NOISE, JUDGE = "fooled-noise.jpg", "fooled-judge.png"
LIMITS = {"blur": (0.1, 12.0), "noise": (0.001, 1.0), "colour": (0.001, 1.0)}


@torch.no_grad()
def noise_rows(folder: Path) -> Tensor:
    """`[3 * PORTRAITS, 3, R, R]`: the same portraits with the stored noise, with none, with fresh noise."""
    G, g = load_generator(folder / "generator.safetensors"), torch.Generator().manual_seed(SEED)
    w = sample_w(G, PORTRAITS, generator=g)
    modes = ({"noise_mode": "const"}, {"noise_mode": "none"}, {"noise_mode": "random", "generator": g})
    return torch.cat([G.image(w, **mode) for mode in modes]).clamp(0, 1)


def draw_noise(before: Path, out: Path) -> None:
    """Three rows before and three rows today, each with its noise."""
    pictures = torch.cat([noise_rows(folder) for folder in (before, DATA)]).unflatten(0, (6, PORTRAITS))
    rows = [f"{when}: {noise}" for when in ("first", "today") for noise in ("stored", "none", "fresh")]
    figure = panel(*pictures.unbind(1), rows=rows, size=1.3)
    save_figure(figure, out / NOISE, dpi=110, pil_kwargs={"quality": 88})


def equally_far(x: Tensor) -> dict[str, Tensor]:
    """Portraits `[N, 3, R, R]` shifted, and blurred, made noisy and tinted to the same L1, found by halving."""
    g = torch.Generator().manual_seed(SEED)
    shifted = distort(x, "shift", torch.full((len(x),), SHIFT), g)
    wanted, made = (shifted - x).abs().mean((1, 2, 3)), {"shift": shifted}
    for kind, bounds in LIMITS.items():

        def change(strength: Tensor, kind: str = kind) -> Tensor:
            return distort(x, kind, strength, torch.Generator().manual_seed(SEED))

        made[kind] = as_far(x, change, wanted, bounds, 14)
    line = torch.arange(x.shape[-1])
    made["mesh"] = (x + MESH * ((line[:, None] + line) % 2 * 2 - 1)).clamp(0, 1)
    return made


@torch.no_grad()
def draw_judge(before: Path, out: Path) -> None:
    """Mean distances from the truth, where 1 is the mean distance of two people; one bar before, one today."""
    x = portraits(range(COUNT))
    made = equally_far(x)
    with plt.style.context(STYLE):
        figure, ax = plt.subplots(figsize=(4.6, 2.6), layout="constrained")
        for i, (label, folder) in enumerate((("before", before), ("today", DATA))):
            net = load_portrait_net(folder / "features_b.safetensors")
            scale = net.distance(x, x.roll(1, 0)).mean()
            heights = [float(net.distance(y, x).mean() / scale) for y in made.values()]
            print(label, {kind: round(height, 3) for kind, height in zip(made, heights, strict=True)})
            ax.bar([k + 0.38 * (i - 0.5) for k in range(len(made))], heights, 0.36, label=label)
        ax.set_xticks(range(len(made)), [*list(made)[:-1], "fine mesh"])
        ax.set(ylabel="net B, 1 = two people")
        ax.legend()
        save_figure(figure, out / JUDGE, dpi=130)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="folder of the earlier weights")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    check_writable(args.out / NOISE, args.out / JUDGE, force=True)
    draw_noise(args.before, args.out)
    draw_judge(args.before, args.out)


if __name__ == "__main__":
    sys.exit(ended(main))
