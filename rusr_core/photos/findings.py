"""The findings of an estimate: numbers with their source and their confidence, and the stages of f that follow."""

from dataclasses import dataclass

import numpy as np
import torch

from rusr_core.degradations.base import Degradation
from rusr_core.degradations.blur import Blur
from rusr_core.degradations.fade import Fade
from rusr_core.degradations.jpeg import JPEG
from rusr_core.degradations.noise import PoissonBernoulliNoise, ReadNoise
from rusr_core.parts import cells
from rusr_core.photos.blur_width import find_blur
from rusr_core.photos.casts import find_cast
from rusr_core.photos.earlier import find_earlier
from rusr_core.photos.jpeg_file import UPRIGHT, JPEGFile, as_stored, turned
from rusr_core.photos.noise_level import NEEDED, find_noise
from rusr_core.photos.true_size import Enlarged

FEW = 0.003  # share of black pixels that a dark picture has without a dead one
MANY_PHOTONS = 1e6  # in place of none: dead pixels without photon noise
SAMPLINGS = ("4:2:0", "4:2:2", "4:4:4")
PART, PARTS = 512, 16  # px of the squares of a larger picture that are saved once more, and how many, about


@dataclass(frozen=True)
class Finding:
    """One number of an estimate."""

    name: str
    value: float | str | tuple | None  # None: unknown; 0 or "none": this did not happen
    words: str  # the value for people, or "unknown"
    confidence: float  # 0 (unknown) to 1 (it stands in the file): a rank of the evidence, not a measured probability
    source: str  # where it comes from, or why it is unknown

    @classmethod
    def unknown(cls, name: str, why: str) -> "Finding":
        """A number that cannot be known."""
        return cls(name, None, "unknown", 0.0, why)

    @classmethod
    def share(cls, name: str, value: float, confidence: float, source: str) -> "Finding":
        """A share of the pixels."""
        return cls(name, round(value, 4), f"{100 * value:.1f} %", confidence, source)


def jpeg_findings(jpeg: JPEGFile | None, kind: str, size: tuple[int, int]) -> tuple[list[Finding], tuple[JPEG, ...]]:
    """What the file of `size` (height, width) in px says of its own compression."""
    if jpeg is None:
        return [Finding("jpeg", "none", "none", 1.0, f"the file is {kind}")], ()
    words, source = jpeg.words, "the tables and factors in the file"
    if words != jpeg.notation:  # what is long goes to the source, which takes further lines
        sampling = "colours of another kind" if jpeg.sampling == "other" else jpeg.sampling
        words = f"{'tables of its own' if jpeg.distance else f'jpeg:{jpeg.quality}'}, {sampling}"
    if jpeg.distance:
        source += f"; nearest are those of quality {jpeg.quality}, {jpeg.distance:.1f} off"
    if not jpeg.exact:
        source += "; f takes this chroma for 4:2:0"
    if not jpeg.on_grid(*size):
        source += "; EXIF turns it, so that its blocks begin in another corner than those of f"
    return [Finding("jpeg", jpeg.words, words, 1.0, source)], (jpeg.degradation,)


def earlier_findings(pixels: np.ndarray, jpeg: JPEGFile | None) -> tuple[Finding, tuple[JPEG, ...]]:
    """A compression before the file was written, as the file held the picture."""
    orientation = UPRIGHT if jpeg is None else jpeg.orientation
    stored = as_stored(pixels, orientation)
    trace = find_earlier(stored, None if jpeg is None else jpeg.quality)
    if trace is None:
        return Finding.unknown("saved before", "no trace of a coarser libjpeg quality; finer ones leave none"), ()
    sampling = _sampling(stored, trace.quality, jpeg)
    confidence = min(0.99, 1 - 0.5 * trace.sharpness)
    source = "coefficients on the multiples of its table"
    words = str(JPEG(trace.quality, sampling))
    found = Finding("saved before", trace.quality, words, confidence, source)
    return found, (turned(trace.quality, sampling, orientation),)


def _sampling(pixels: np.ndarray, quality: int, jpeg: JPEGFile | None) -> str:
    """The sampling at which saving once more changes a picture least; of one that is itself a JPEG, the usual one."""
    if np.ptp(pixels, axis=2).max() == 0:
        return "grey"
    if jpeg is not None:
        return jpeg.sampling if jpeg.sampling in SAMPLINGS else "4:2:0"
    some = cells(pixels, PART, PARTS) if min(pixels.shape[:2]) > PART else pixels[None]
    x = torch.from_numpy(some.astype(np.float32) / 255).permute(0, 3, 1, 2)
    changes = {s: float((JPEG(quality, s).degrade(x) - x).abs().mean()) for s in SAMPLINGS}
    return min(changes, key=changes.get)


def size_finding(size: tuple[int, int], found: Enlarged | None, sharp: bool) -> Finding:
    """The size before the picture of `size` (height, width) was enlarged; `sharp`: no enlarged picture is."""
    if found is None:
        words = f"{size[1]}x{size[0]} px"
        if not sharp:
            return Finding.unknown(
                "true size", "no edge is sharp, or noise, blocks or holes cover an enlargement's trace"
            )
        return Finding("true size", size, words, 0.8, "no trace of an enlargement, and sharp edges")
    words = f"{found.width}x{found.height} px, {found.mode}"
    source = "repeated pixels" if found.mode == "nearest" else "all lines are sums of so few samples"
    return Finding("true size", (found.height, found.width, found.mode), words, 1 - found.contrast / 2, source)


def noise_findings(
    pixels: np.ndarray, hidden: np.ndarray | None, why: str
) -> tuple[list[Finding], tuple[Degradation, ...], bool]:
    """Photons, dead pixels and read noise; and whether there may be noise. `why` it cannot be measured, or ""."""
    names = ("photons", "dead pixels", "read noise")
    level = find_noise(pixels, hidden)
    if why:
        return [Finding.unknown(name, why) for name in names], (), bool(level.photons or level.read)
    source = f"mean and variance of {level.patches} flat patches"
    dead = None if level.dead is None else level.dead if level.dead > FEW else 0.0
    if level.photons is None and level.read is None:
        reason = "texture, too few flat patches, or noise of another kind"
        found = [Finding.unknown("photons", reason), _dead(dead), Finding.unknown("read noise", reason)]
        return found, (), bool(dead) or level.patches < NEEDED
    photons = _noise("photons", level.photons, level.certain[0], source)
    found = [photons, _dead(dead), _noise("read noise", level.read, level.certain[1], source)]
    stages = []
    if level.photons or dead:
        stages.append(PoissonBernoulliNoise(round(level.photons or MANY_PHOTONS, 2), round(dead or 0.0, 4)))
    if level.read:
        stages.append(ReadNoise(round(level.read, 5)))
    return found, tuple(stages), bool(stages)


def _noise(name: str, value: float | None, certain: bool, source: str) -> Finding:
    if value is None:
        return Finding.unknown(name, "hidden under the other kind of noise")
    if value and not certain:
        return Finding.unknown(name, f"shared between photons and read noise, f takes {value:.3g}; {source}")
    return Finding(name, value, f"{value:.3g}" if value else "none", 0.9, source)


def _dead(share: float | None) -> Finding:
    if share is None:
        return Finding.unknown("dead pixels", "no bright patch, where a black pixel would be one")
    if not share:
        return Finding("dead pixels", 0.0, "none", 0.9, "no black pixels in bright patches")
    return Finding.share("dead pixels", share, 0.95, "black pixels in bright patches")


def blur_findings(
    pixels: np.ndarray, hidden: np.ndarray | None, why: str, blocks: bool
) -> tuple[list[Finding], tuple[Degradation, ...]]:
    """A Gaussian's width, and a motion's length and direction. `why` they cannot be measured, or "".

    `blocks`: whether the picture was compressed, and may have been enlarged before, which looks the same.
    """
    names = ("blur", "motion")
    if why:
        return [Finding.unknown(name, why) for name in names], ()
    found = find_blur(pixels, hidden, blocks=blocks)
    if found.length:
        length, direction = round(found.length, 1), round(found.direction)
        words = f"{length} px, {direction} degrees"
        motion = Finding("motion", (length, direction), words, 0.9, "the dips of the spectrum along one direction")
        return [Finding.unknown("blur", "the motion hides it"), motion], (Blur(length=length, direction=direction),)
    source = f"the sharpest edges are {found.edge:.2f} px wide"
    if not found.edge:
        return [Finding.unknown(name, "too few edges") for name in names], ()
    if found.width is None:
        return [Finding.unknown(name, f"{source}, by a blur or by themselves") for name in names], ()
    width = round(found.width, 2)
    sharp = Finding("motion", 0.0, "none", 0.8, "edges of all directions are alike")
    if not width:
        return [Finding("blur", 0.0, "below 0.6 px", 0.8, source), sharp], ()
    if blocks:
        return [Finding.unknown("blur", f"{source}, by a blur or an enlargement under the blocks"), sharp], ()
    return [Finding("blur", width, f"{width} px", 0.8, source), sharp], (Blur(width),)


def cast_findings(pixels: np.ndarray, why: str) -> tuple[list[Finding], tuple[Degradation, ...]]:
    """Gain, offset and gamma of each channel. `why` they cannot be measured, or ""."""
    if why:
        return [Finding.unknown(name, why) for name in ("gain", "offset", "gamma")], ()
    cast = find_cast(pixels)
    found = []
    for name, values, source, reason in (
        ("gain", cast.gain, "the rhythm of the histogram", "no rhythm in the histogram"),
        ("offset", cast.offset, "the ends of the histogram", "what was black is not known"),
        ("gamma", cast.gamma, "how the rhythm changes from dark to light", "no rhythm in the histogram"),
    ):
        if all(v is None for v in values):
            found.append(Finding.unknown(name, reason))
            continue
        words = ", ".join("unknown" if v is None else f"{v:.3g}" for v in values)
        found.append(Finding(name, tuple(None if v is None else round(v, 4) for v in values), words, 0.9, source))
    everything = (cast.gain, cast.offset, cast.gamma)
    if any(None in values for values in everything):
        return found, ()
    return found, (Fade(*(tuple(round(v, 4) for v in values) for values in everything)),)
