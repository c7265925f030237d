"""The masks that --mask and --invert-mask name, for each file its own."""

import argparse
from pathlib import Path

from torch import Tensor

from rusr_core.commands.options import CommandError
from rusr_core.decoding import list_images
from rusr_core.degradations.mask_files import load_mask


class Masks:
    """One mask for all files, or a folder of them by the places of the files, less their suffixes; read when made."""

    def __init__(self, args: argparse.Namespace):
        self.args, self.by_name, self.notes = args, {}, []
        place = args.mask
        paths = list_images(place, recursive=args.recursive).images if place.is_dir() else (place,)
        for path in paths:
            name = path.relative_to(place).with_suffix("") if place.is_dir() else None
            if name in self.by_name:
                raise CommandError(f"{place}: holds two masks for {name}")
            found = load_mask(path, invert=args.invert_mask)
            self.by_name[name] = found.known
            self.notes.append(f"{path}: {found.meaning}, {100 * (1 - found.known.mean()):.1f} % are hidden")

    def of(self, source: Path, *sizes: tuple[int, int]) -> tuple[Path | None, Tensor]:
        """The name and the mask `[1, 1, H, W]` of a file, 1 where it is known.

        Raises CommandError if it has none, or one of another size than `sizes` (height, width), the file's own first.
        """
        below = self.args.input if self.args.input.is_dir() else self.args.input.parent
        name = None if None in self.by_name else source.relative_to(below).with_suffix("")
        if name not in self.by_name:
            raise CommandError(f"{source}: no mask {name} in {self.args.mask}")
        known = self.by_name[name]
        have = (known.shape[-2], known.shape[-1])
        if have not in sizes:
            height, width = sizes[0]
            raise CommandError(f"{source}: the mask is {have[1]}x{have[0]} px, the image {width}x{height} px")
        return name, known
