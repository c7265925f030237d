"""Render the portraits that methods are tuned on (`rusr tune --images`): new people, in the training range.

    python -m tools.portraits.validation FOLDER --count 8

Seed 930,000, which nothing else uses: none of them was trained on, and none is one of Portraits-X.
"""

import argparse
from pathlib import Path

from tools.portraits.render import to_pictures
from tools.portraits.renderer import render, sample_z
from tools.portraits.training.render_training_set import normalized

SEED = 930_000


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=8)
    args = parser.parse_args(words)
    args.folder.mkdir(parents=True, exist_ok=True)
    images = render(normalized(sample_z(SEED, args.count)))
    for i, picture in enumerate(to_pictures(images)):
        picture.save(args.folder / f"{i:03d}.png", optimize=True)


if __name__ == "__main__":
    main()
