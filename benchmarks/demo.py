"""`make demo`: held-out portraits in all four tasks and their composition, restored and drawn in one picture.

python -m benchmarks.demo --out _build/demo.png  (book/images/demo.jpg is the README's copy)
"""

import argparse
import sys
import time
from pathlib import Path

import torch
from tqdm import tqdm

from rusr_core import figures, presets, tasks
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError, step_count
from rusr_core.figures.saving import save_figure
from rusr_core.files import check_writable
from rusr_core.images import resize
from rusr_core.priors import load_prior, portraits
from rusr_core.restore import Restoration, restore

# Task, the picture's row label, and a portrait of Portraits-X. All at the benchmark's level M.
ROWS = (
    ("upsampling", "upsampling\n8x, 16 px", 2),
    ("denoising", "denoising\n24 photons", 1),
    ("inpainting", "inpainting\n9 strokes", 10),
    ("deartifacting", "deartifacting\nJPEG 12", 0),
    ("UNAP", "all four\nat once", 5),
)
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
COLUMNS = ("input", "W", "W+", "W++", "truth")


def main() -> None:
    """Restore, report each row, save the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("_build/demo.png"))
    parser.add_argument("--preset", default="default", choices=tuple(presets.PRESETS))
    parser.add_argument("--steps", type=step_count, help="steps of each phase (default: the preset's)")
    args = parser.parse_args()
    if args.out.suffix.lower() not in SUFFIXES:
        raise CommandError(f"{args.out}: expected a name that ends in {', '.join(SUFFIXES)}")
    check_writable(args.out, force=True, new_folders=True)
    prior = load_prior()
    preset = presets.get(args.preset)
    preset = preset if args.steps is None else preset.shortened(args.steps)
    columns = [[] for _ in COLUMNS]
    begun = time.perf_counter()
    for task, _, number in ROWS:
        x = portraits([number])
        y, result = _restore(prior, preset, task, x)
        pictures = (resize(y, x.shape[-1], "nearest"), *(phase.image for phase in result.phases), x)
        for column, picture in zip(columns, pictures, strict=True):
            column.append(picture)
        tqdm.write(f"{task:13} portrait {number:03d}: {result.steps[0]} steps, {result.seconds:.1f} s")
    picture = figures.panel(
        *(torch.cat(column) for column in columns),
        titles=COLUMNS,
        rows=[label for _, label, _ in ROWS],
        size=1.5,
    )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_figure(picture, args.out, dpi=140, pil_kwargs={"quality": 92, "optimize": True})
    print(f"{args.out}: {len(ROWS)} restorations in {time.perf_counter() - begun:.0f} s, preset {preset.name}")


def _restore(prior: object, preset: presets.Preset, task: str, x: torch.Tensor) -> tuple[torch.Tensor, Restoration]:
    f = tasks.get(task, "M", seed=3)
    y = f.degrade(x, torch.Generator().manual_seed(0))
    with tqdm(total=sum(phase.steps for phase in preset.phases), desc=task, leave=False, disable=None) as bar:
        return y, restore(prior, y, f, preset=preset, callback=lambda step: bar.update())


if __name__ == "__main__":
    sys.exit(ended(main))
