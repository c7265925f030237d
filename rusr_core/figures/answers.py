"""Several answers to one input, side by side, with the map of what the input decides."""

import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from torch import Tensor

from rusr_core.figures.panels import FigureError, panel
from rusr_core.images import in_words, resize
from rusr_core.limits import is_number, shown
from rusr_core.results import Restoration

COLOURS = "cividis"  # dark: decided; told apart by everybody, also in grey


def answers(y: Tensor, result: Restoration, *, size: float = 1.5) -> Figure:
    """A row for each input `y` `[N, 3, h, w]`: the input, its k answers, their mean, their spread, what was invented.

    The spread is drawn from 0 (dark) to its largest value in the figure, which its title names; what was invented from
    0 (dark, decided by the input) to 1 (bright), where the answers are `Samples`: draws of a compared method are not
    measured beside a prior. Raises `FigureError` if the result is not one of `y`, or holds one answer to each.
    """
    found = result.answers.detach().cpu()
    if found.shape[1] < 2:
        raise FigureError(f"one answer is in a {type(result).__name__}: expected a result of samples=2 or more")
    if len(y) != len(found):
        raise FigureError(f"{len(y)} inputs for answers to {len(found)}")
    top = float(result.spread.max())
    invented = [heat(result.invented.cpu(), 1.0)] if hasattr(result, "invented") else []
    maps = [heat(result.spread.cpu(), top), *invented]
    shown = resize(y.detach().cpu().clamp(0, 1), found.shape[-1], "nearest")
    words = ["input", *(f"answer {i + 1}" for i in range(found.shape[1])), "mean", f"spread, to {top:.2f}"]
    words += ["invented"] * len(invented)
    return panel(shown, *found.unbind(1), result.mean.cpu(), *maps, titles=words, size=size)


def heat(values: Tensor, top: float) -> Tensor:
    """Numbers `[N, 1, H, W]` from 0 to `top` as colours `[N, 3, H, W]` in [0, 1], dark to bright. FigureError."""
    if not is_number(top) or top < 0:
        raise FigureError(f"top is {shown(top)}: expected a number from 0")
    if not isinstance(values, Tensor) or values.dim() != 4 or values.shape[1] != 1 or not values.isfinite().all():
        raise FigureError(f"a map of {in_words(values)}: expected finite numbers [N, 1, H, W]")
    share = (values[:, 0] / max(top, 1e-12)).clamp(0, 1)
    return torch.from_numpy(colormaps[COLOURS](share.numpy())[..., :3]).permute(0, 3, 1, 2).float()
