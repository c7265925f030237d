"""What a person without a generator would do, each stage undone by a tool of a well-kept library, the last one first.

    noise          dead pixels take the median of their neighbours, then non-local means (scikit-image)
    JPEG           total variation (Chambolle; scikit-image)
    holes          biharmonic inpainting (scikit-image)
    downsampling   Lanczos (`images.resize`, which agrees with Pillow's)

van der Walt et al., "scikit-image: image processing in Python", PeerJ 2014, https://doi.org/10.7717/peerj.453. Nothing
is trained and nothing is searched, so no step is taken and no random number drawn. It departs from no public code.
The strengths stand for every level: `nlm` is a multiple of the noise that is estimated from the picture itself, `tv`
the weight at JPEG quality 10, and at others in proportion to the mean step of the luma table. Of five weights 0.03 was
best on four rendered portraits of 128 px at qualities 18 and 12 (by 0.8 dB over the input), and 0.05 at quality 6.

It does not beat doing nothing on JPEG: at level M it ends at LPIPS-portraits 0.50 in the mean of eight portraits, where
the input itself is at 0.46, and nearer on one of them (`benchmarks.beats_nothing`, 2026-11-29),
since total variation takes fine hair with the blocks.
"""

from collections.abc import Callable
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from rusr_core.baselines.method import Baseline, BaselineError, Real, Whole
from rusr_core.baselines.observation import AnyPrior, observe
from rusr_core.baselines.settings import check_rates
from rusr_core.degradations.base import Degradation
from rusr_core.degradations.jpeg_tables import tables
from rusr_core.degradations.operator import AnyOperator, mask_of
from rusr_core.errors import RusrError
from rusr_core.images import resize
from rusr_core.limits import check_whole
from rusr_core.restore import Restoration, Step

NOISY = ("noise", "readnoise")
KNOWN = (*NOISY, "jpeg", "strokes", "mask", "downsample", "resize")
HIDDEN = 0.5  # a pixel of which less is visible is a hole
LARGEST = 31  # px of a patch; a larger one is hardly ever like another


def can(f: Degradation) -> str | None:
    """None, or the stage that none of the tools undoes."""
    for stage in f.stages:
        if getattr(stage, "name", None) not in KNOWN:
            return f"none of its tools undoes {stage}; expected stages of {', '.join(KNOWN)}"
    return None


def classical(
    prior: AnyPrior,
    y: Tensor,
    f: AnyOperator,
    *,
    seed: int = 0,
    callback: Callable[[Step], None] | None = None,
    nlm: float = 0.8,
    patch: int = 5,
    tv: float = 0.03,
) -> Restoration:
    """Undo the stages of f, the last one first -> [N, 3, R, R].

    Args:
        nlm: strength of non-local means, in standard deviations of the estimated noise (scikit-image's advice: 0.8).
        patch: side of its patches, px.
        tv: weight of total variation at JPEG quality 10.

    Raises BaselineError for a setting that cannot be, RusrError where scikit-image is missing, and what `observe` does.
    """
    check_rates(nlm=nlm, tv=tv)
    check_whole("patch", patch, 1, LARGEST, BaselineError)
    seen = observe(prior, y, f, seed, callback, gradient=False, kinds=AnyPrior)
    _skimage()
    side = prior.resolution
    done = []
    for i in range(len(seen)):
        stages = seen.f.for_image(i).stages
        sizes = _sizes(stages, torch.empty(1, 3, side, side))
        x = seen.y[i].permute(1, 2, 0).double().cpu().numpy()
        for stage, like in zip(reversed(stages), reversed(sizes), strict=True):
            x = _undone(x.clip(0, 1), stage, like, nlm, patch, tv)
        done.append(torch.from_numpy(x.clip(0, 1)).permute(2, 0, 1))
    return seen.result(prior, torch.stack(done).to(seen.y), [0] * len(seen))


def _sizes(stages: tuple[Degradation, ...], like: Tensor) -> list[Tensor]:
    """For each stage, an image of the size that it is given."""
    sizes, draw = [], torch.Generator().manual_seed(0)
    for stage in stages:
        sizes.append(like)
        like = stage.forward(torch.zeros_like(like), draw)
    return sizes


def _undone(x: np.ndarray, stage: Degradation, like: Tensor, nlm: float, patch: int, tv: float) -> np.ndarray:
    """x [h, w, 3] before `stage`, which was given an image of the size of `like`."""
    if stage.name in NOISY:
        return _denoised(_without_dead_pixels(x) if getattr(stage, "p", 0) else x, nlm, patch)
    if stage.name == "jpeg":
        weight = tv * _quantisation(stage.quality) / _quantisation(10)
        return _skimage().denoise_tv_chambolle(x, weight=weight, channel_axis=2)
    if stage.name in ("downsample", "resize"):
        image = torch.from_numpy(x).permute(2, 0, 1)[None]
        return resize(image, tuple(like.shape[2:]), "lanczos")[0].permute(1, 2, 0).numpy()
    visible = mask_of(stage, like)[0, 0].numpy()
    hole = visible < HIDDEN
    x = np.where(hole[..., None], 0, x / np.maximum(visible, HIDDEN)[..., None])  # a soft edge darkens
    return _skimage().inpaint_biharmonic(x, hole, channel_axis=2) if hole.any() and not hole.all() else x


def _without_dead_pixels(x: np.ndarray) -> np.ndarray:
    """Pixels that are black in all channels take the median of the others around them, in a window that grows."""
    dead = (x == 0).all(2)
    for size in (3, 5, 7):
        if not dead.any():
            break
        with np.errstate(invalid="ignore"):
            windows = np.lib.stride_tricks.sliding_window_view(
                np.pad(np.where(dead[..., None], np.nan, x), ((size // 2,) * 2, (size // 2,) * 2, (0, 0)), "edge"),
                (size, size),
                axis=(0, 1),
            )[dead]
        known = ~np.isnan(windows).all((1, 2, 3))
        filled = np.nanmedian(windows[known], axis=(2, 3))
        at = np.argwhere(dead)[known]
        x = x.copy()
        x[at[:, 0], at[:, 1]] = filled
        dead[at[:, 0], at[:, 1]] = False
    return x


def _denoised(x: np.ndarray, strength: float, patch: int) -> np.ndarray:
    """Non-local means of the strength that the picture's own noise asks for."""
    restoration = _skimage()
    sigma = float(np.mean(restoration.estimate_sigma(x, channel_axis=2)))
    settings = dict(patch_size=patch, patch_distance=6, fast_mode=True, channel_axis=2)
    return restoration.denoise_nl_means(x, h=strength * sigma, sigma=sigma, **settings) if sigma > 0 else x


def _quantisation(quality: int | tuple[int, ...]) -> float:
    """The mean step of the luma table of a quality, or of somebody's own tables."""
    return float(np.mean(quality[:64])) if isinstance(quality, tuple) else tables(quality)[0].float().mean().item()


def _skimage() -> ModuleType:
    """scikit-image's restoration, which the library does not need otherwise. RusrError where it is missing."""
    try:
        from skimage import restoration
    except ImportError as error:
        raise RusrError("method 'classical' needs scikit-image: pip install 'rusr[classical]'") from error
    return restoration


BASELINE = Baseline(
    "classical",
    classical,
    paper="vanderwalt2014scikit",
    space={"nlm": Real(0.3, 2.0), "patch": Whole(3, 9), "tv": Real(0.005, 0.3, log=True)},
    can=can,
    prior="none",
)
