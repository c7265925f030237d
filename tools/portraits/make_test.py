"""Render Portraits-X, the 100 held-out test portraits, and their index.

    python -m tools.portraits.make_test data/portraits/test

000 to 089 are new people in the training range (seed 910,000, which nothing else uses). 090 to 099 go beyond it
(seed 910,001): a head band, dyed hair or a turn 1.6 times as far, most of them with a mole and uneven eyes.
"""

import argparse
import csv
import io
import sys
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.commands.ending import ended
from rusr_core.files import write_atomic
from tools.portraits.render import save_all
from tools.portraits.renderer import beyond, render, sample_z
from tools.portraits.training.render_training_set import normalized

SEED, BEYOND_SEED = 910_000, 910_001
IN_RANGE, BEYOND = 90, 10
KINDS = ("turned further", "head band", "dyed hair")


def portraits() -> Tensor:
    """All 100 test portraits, `[100, 3, 128, 128]` in [0, 1]."""
    inside = render(normalized(sample_z(SEED, IN_RANGE)))
    outside = render(normalized(sample_z(BEYOND_SEED, BEYOND)), extra=beyond(BEYOND_SEED, BEYOND))
    return torch.cat([inside, outside])


def rows() -> list[tuple[str, str, str]]:
    """The index: file, whether it is beyond the training range, what is."""
    inside = [(f"{i:03d}.png", "no", "") for i in range(IN_RANGE)]
    return inside + [(f"{IN_RANGE + i:03d}.png", "yes", KINDS[i % 3]) for i in range(BEYOND)]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    save_all(portraits(), folder)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "beyond_training_range", "how"))
    writer.writerows(rows())
    write_atomic(folder / "index.csv", text.getvalue().encode())


if __name__ == "__main__":
    sys.exit(ended(main))
