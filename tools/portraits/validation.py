"""Render the portraits that methods are tuned on (`rusr tune --images`): new people, in the training range.

    python -m tools.portraits.validation FOLDER --count 8

Seed 930,000, which nothing else uses: none of them was trained on, and none is one of Portraits-X.
"""

import argparse
import sys
from pathlib import Path

from rusr_core.commands.ending import ended
from rusr_core.commands.options import count
from tools.portraits.render import save_all
from tools.portraits.renderer import render, sample_z
from tools.portraits.training.render_training_set import normalized

SEED = 930_000


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=count, default=8)
    args = parser.parse_args(words)
    save_all(render(normalized(sample_z(SEED, args.count))), args.folder)


if __name__ == "__main__":
    sys.exit(ended(main))
