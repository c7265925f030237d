"""Render the training set: identities x nuisance draws, 8-bit, in two files that are read in place.

    python -m tools.portraits.training.render_training_set FOLDER --identities 2500 --views 4 --processes 2
    python -m tools.portraits.training.render_training_set FOLDER --identities 16000 --views 10 --device cuda

writes FOLDER/images.npy and FOLDER/flat.npy, uint8 `[identities, views, 3, 128, 128]`: the portraits with fine detail,
of another draw for each step of the renderer, and the same ones without any (`Textures.flat`), which is what a
generator can know of them from their factors. The factors are not stored: `factors(...)` gives them back from the
seed. A rerun continues where the last one stopped.
"""

import argparse
import multiprocessing
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rusr_core.arithmetic import flushed_denormals
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError
from tools.portraits.renderer import ID_DIM, paint, sample_z, textures
from tools.portraits.renderer.portrait import CHUNK, GPU_CHUNK
from tools.portraits.renderer.textures import SEED, Textures

IDENTITY_SEED, NUISANCE_SEED = 5_000, 6_000  # view v has 6_000 + v; held-out seeds are in make_test.py
SIZE = 128
DRAWS = 100  # of the textures: SEED + 1 to SEED + DRAWS; SEED itself is left to Portraits-X
FILES = ("images.npy", "flat.npy")


def factors(identities: int, views: int) -> Tensor:
    """Factors `[identities, views, Z_DIM]` of the training set, on the sphere of radius sqrt(Z_DIM).

    More views leave the first ones as they were. A plain mapping network normalises z, so the length of z
    must not mean anything in the pictures either.
    """
    identity = sample_z(IDENTITY_SEED, identities)[:, None, :ID_DIM].expand(-1, views, -1)
    nuisance = [sample_z(NUISANCE_SEED + view, identities)[:, ID_DIM:] for view in range(views)]
    return normalized(torch.cat([identity, torch.stack(nuisance, 1)], 2))


def normalized(z: Tensor) -> Tensor:
    """Scale factors `[..., Z_DIM]` to mean square 1."""
    return z * torch.rsqrt(z.square().mean(-1, keepdim=True) + 1e-8)


def draw(step: int, file: str, device: torch.device) -> Textures:
    """The textures of the renderer's `step`-th chunk, for one of the two files."""
    t = textures(SIZE, device, SEED + 1 + step % DRAWS)
    return t if file == "images.npy" else t.flat()


@flushed_denormals()
def render_part(folder: Path, identities: int, views: int, part: int, parts: int) -> None:
    """Render every `parts`-th block of identities, view by view."""
    files = {name: np.load(folder / name, mmap_mode="r+") for name in FILES}
    z, done = factors(identities, views), folder / f"done{part}of{parts}.txt"
    start = int(done.read_text()) if done.exists() else 0
    blocks = [(v, i) for v in range(views) for i in range(part * CHUNK, identities, parts * CHUNK)]
    with torch.no_grad():
        painter = torch.compile(paint, dynamic=False)
        for count, (view, first) in enumerate(blocks[start:], start + 1):
            chunk = z[first : first + CHUNK, view]
            padded = torch.cat([chunk, z[: CHUNK - len(chunk), 0]])  # always one shape: compiled once
            for name, images in files.items():
                t = draw(view * identities + first // CHUNK, name, z.device)
                pixels = (painter(padded, t, {})[: len(chunk)] * 255 + 0.5).to(torch.uint8)
                images[first : first + CHUNK, view] = pixels.numpy()
            if count % 50 == 0 or count == len(blocks):
                for images in files.values():
                    images.flush()
                done.write_text(str(count))


def render_on_gpu(folder: Path, identities: int, views: int, device: str) -> None:
    """Render everything in one process, person by person in large steps; a minute, so only a finished set is kept."""
    done = folder / "rendered.txt"
    if done.exists():
        return
    z = factors(identities, views).flatten(0, 1)
    for name in FILES:
        images = np.load(folder / name, mmap_mode="r+").reshape(identities * views, 3, SIZE, SIZE)
        for step, first in enumerate(range(0, len(z), GPU_CHUNK)):
            chunk = z[first : first + GPU_CHUNK].to(device)
            with torch.no_grad():
                pixels = (paint(chunk, draw(step, name, chunk.device), {}) * 255 + 0.5).to(torch.uint8)
            images[first : first + GPU_CHUNK] = pixels.cpu().numpy()
        images.flush()
    done.write_text(f"{len(z)}\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--identities", type=int, default=2500)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    shape = (args.identities, args.views, 3, SIZE, SIZE)
    for path in (args.folder / name for name in FILES):
        if not path.exists():
            np.lib.format.open_memmap(path, "w+", np.uint8, shape).flush()
        found = np.load(path, mmap_mode="r").shape
        if found != shape:
            raise CommandError(f"{path} holds {found}, asked for were {shape}: choose another folder")
    if args.device != "cpu":
        render_on_gpu(args.folder, *shape[:2], args.device)
        return
    os.environ["OMP_NUM_THREADS"] = "1"  # of each process
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=render_part, args=(args.folder, *shape[:2], part, args.processes))
        for part in range(args.processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if any(worker.exitcode for worker in workers):
        raise CommandError("a rendering process failed; run the command again to continue")


if __name__ == "__main__":
    sys.exit(ended(main))
