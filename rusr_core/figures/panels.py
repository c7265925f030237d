"""Pictures for chapters: panels of images and loss curves."""

import math
import os
import sys
from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from torch import Tensor

from rusr_core.errors import RusrError
from rusr_core.images import in_words, to_uint8
from rusr_core.limits import check_whole, is_number, shown

# rusr.mplstyle beside this file; RUSR_DPI draws larger, for slides
STYLE = ["rusr_core.figures.rusr", {"figure.dpi": float(os.environ["RUSR_DPI"])} if "RUSR_DPI" in os.environ else {}]
PHASE_COLOURS = {"W": "#0072B2", "W+": "#D55E00", "W++": "#009E73"}
LARGEST = 100  # inches of a column or of a figure
MOST = 5  # pictures side by side in a figure of one row; more would be too small on a page


class FigureError(RusrError):
    """Images or labels that do not belong together."""


def check_size(size: float) -> None:
    """FigureError unless a picture can be drawn so large, in inches."""
    if not is_number(size) or not 0 < size <= LARGEST:
        raise FigureError(f"size is {shown(size)}: expected a number of inches above 0, at most {LARGEST}")


def check_extent(size: tuple[float, float]) -> None:
    """FigureError unless a figure can have this width and height, in inches."""
    if not isinstance(size, Sequence) or isinstance(size, str) or len(size) != 2:
        raise FigureError(f"size is {shown(size)}: expected (width, height) in inches")
    for side in size:
        check_size(side)


def show(*images: Tensor, titles: Sequence[str] | None = None, size: float = 1.7) -> None:
    """Display `panel(*images)` at once: in a notebook in the cell's output, elsewhere in a window."""
    figure = _panel(images, titles, None, size)
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        from IPython.display import display

        display(figure)
    else:
        plt.show()
    plt.close(figure)


def panel(
    *images: Tensor, titles: Sequence[str] | None = None, rows: Sequence[str] | None = None, size: float = 1.7
) -> Figure:
    """Columns of images: each argument `[N, 3, H, W]` in [0, 1] is a column of N rows, of any resolution.

    `titles` names the columns, `rows` the rows; `size` is the width of a column in inches. Small images are
    enlarged by repeating pixels, so that what is drawn is what was measured. A single row of more than `MOST` pictures
    goes on in a second one. Raises `FigureError`.
    """
    figure = _panel(images, titles, rows, size)
    plt.close(figure)  # or a notebook would draw it a second time
    return figure


def _panel(images: Sequence[Tensor], titles: Sequence[str] | None, rows: Sequence[str] | None, size: float) -> Figure:
    check_size(size)
    columns = [_batch(image) for image in images]
    if not columns or len({len(column) for column in columns}) > 1:
        raise FigureError(f"columns must hold equally many images, got {[len(c) for c in columns]}")
    num = len(columns[0])
    for name, labels, expected in (("titles", titles, len(columns)), ("rows", rows, num)):
        if isinstance(labels, str):  # its letters would be taken for the labels
            raise FigureError(f"{name} is {shown(labels)}: expected a list of {expected}")
        if labels is not None and len(labels) != expected:
            raise FigureError(f"{len(labels)} {name} for {expected} {'columns' if name == 'titles' else 'rows'}")
    lines = -(-len(columns) // MOST) if num == 1 else 1
    across = -(-len(columns) // lines)
    extent = (size * across + (0.25 if rows else 0), (size * num + (0.25 if titles else 0)) * lines)
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(num * lines, across, figsize=extent, squeeze=False, layout="constrained")
        figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
        for row in range(num):
            for column, batch in enumerate(columns):
                ax = axes[row + column // across, column % across]
                _draw(ax, batch[row])
                if row == 0 and titles:
                    ax.set_title(titles[column])
            if rows:
                axes[row, 0].set_ylabel(rows[row])
        for ax in axes.flat[num * len(columns) :]:  # what is left of the last line
            ax.remove()
    return figure


def loss_curves(result: object, *, image: int = 0, term: str = "total", ax: Axes | None = None) -> Figure:
    """One image's loss over all phases of a `Restoration`, a vertical line where a phase begins.

    `term` is a key of the recorded history ("total", "lpips", ...). The scale is logarithmic. Raises `FigureError`.
    """
    if not hasattr(result, "phases"):
        raise FigureError(f"no losses were recorded in {shown(result)}: expected what restore returns")
    for phase in result.phases:  # before there is a figure, which a notebook would show
        if term not in phase.history:
            raise FigureError(f"no loss {term!r} was recorded; expected one of {', '.join(phase.history)}")
    check_whole("image", image, 0, len(result.image) - 1, FigureError)
    with plt.style.context(STYLE):
        figure = ax.figure if ax is not None else plt.figure(figsize=(6.4, 2.8), layout="constrained")
        ax = ax if ax is not None else figure.add_subplot()
        begin = 0
        for phase in result.phases:
            values = phase.history[term][:, image]
            values = values[torch.isfinite(values)]
            steps = torch.arange(begin, begin + len(values))
            ax.plot(steps, values, color=PHASE_COLOURS.get(phase.space))
            ax.axvline(begin, color="#BFBFBF", linewidth=0.8, zorder=0)
            label_at = (begin + max(len(values), 1) / 2, 1.0)
            ax.annotate(
                phase.space, label_at, xycoords=("data", "axes fraction"), ha="center", va="bottom",
                color=PHASE_COLOURS.get(phase.space),
            )  # fmt: skip
            begin += len(values)
        ax.set(xlabel="step", ylabel=f"{term} loss", yscale="log")
        plain_numbers(ax.yaxis)
        ax.margins(x=0.01)
        plt.close(figure)
    return figure


# ticks of a decade on a logarithmic axis whose end is less than so many times its beginning
TICKS = {
    1.3: (1, 1.05, 1.1, 1.15, 1.2, 1.25, 7.5, 8, 8.5, 9, 9.5),
    2: (1, 1.1, 1.2, 1.3, 1.4, 1.6, 1.8, 2, 3, 4, 5, 6, 7, 8, 9),
    12: (1, 1.5, 2, 3, 5, 7),
    1000: (1, 2, 5),
    math.inf: (1,),
}


def plain_numbers(axis: Axis) -> None:
    """Ticks of a logarithmic axis as numbers that one can read, 0.2 and not 2 x 10^-1: 1, 2 and 5 of each decade, more
    of them on a short axis, and whole decades where there are more than three."""
    low, high = sorted(axis.get_view_interval())
    subs = next((subs for span, subs in TICKS.items() if high < span * low), (1,))
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def logarithmic(ax: Axes, letters: str) -> None:
    """Give "x", "y" or both a logarithmic scale with such ticks; called when all is drawn, on which they depend."""
    for letter, set_scale, axis in (("x", ax.set_xscale, ax.xaxis), ("y", ax.set_yscale, ax.yaxis)):
        if letter in letters:
            set_scale("log")
            plain_numbers(axis)


def _batch(image: Tensor) -> Tensor:
    """`[N, 3, H, W]` on the CPU; a single `[3, H, W]` gains its first dimension."""
    batch = image[None] if isinstance(image, Tensor) and image.dim() == 3 else image
    if not isinstance(batch, Tensor) or batch.dim() != 4 or batch.shape[1] != 3 or not batch.numel():
        raise FigureError(f"expected images [N, 3, H, W], got {in_words(image)}")
    return batch.detach().cpu()


def _draw(ax: Axes, image: Tensor) -> None:
    """One image `[3, H, W]`, no ticks; a hairline frame only where a white edge would vanish into the page."""
    edge = torch.cat([image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]], 1)  # [3, 2 (W + H)]
    ax.imshow(to_uint8(image).permute(1, 2, 0).numpy())
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=bool((edge > 0.97).all(0).float().mean() > 0.3), color="#BFBFBF", linewidth=0.6)
