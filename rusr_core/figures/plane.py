"""The search drawn on a plane: what a toy generator can make, what agrees with y, and the way of the search.

The toy's pictures are points (`rusr_core.generator.toy`), so that the manifold is a curve and {x : f(x) = y} a line, a
cell or a disc. The search is the library's own, `restore`. Chapter: book/plane.ipynb.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from torch import Tensor

from rusr_core.figures.panels import PHASE_COLOURS, STYLE, FigureError, check_size
from rusr_core.generator.toy import CONTRAST, ToyGenerator, picture_of, point_of
from rusr_core.limits import is_number, shown
from rusr_core.losses import L1, RestorationLoss, Term
from rusr_core.presets import Phase, Preset
from rusr_core.prior import Prior
from rusr_core.restore import restore

SPAN = (-0.6, 1.4)  # of x_1 in a drawing
HEIGHT = (-0.8, 0.65)  # of x_2
TRUTH = (0.5, -0.33)  # near the manifold, not on it, as no portrait is
SIGMA = 0.1  # of the toy's noise
CELL = 0.25  # the toy's rounding
SET_COLOUR = "#E69F00"


def _rounded(x: Tensor) -> Tensor:
    """Brightness rounded to cells; the gradient passes as if nothing were rounded, as through the library's JPEG."""
    step = CELL * CONTRAST
    return x + (((x - 0.5) / step).round() * step + 0.5 - x).detach()


def _hidden(x: Tensor) -> Tensor:
    """The left pixel is black."""
    return x * x.new_tensor([0.0, 1.0])


FORWARD: dict[str, Callable[[Tensor], Tensor]] = {
    "upsampling": lambda x: x.mean((2, 3), keepdim=True),  # one pixel, the mean of both
    "inpainting": _hidden,
    "denoising": lambda x: x,  # noise is added to y, see `observed`
    "deartifacting": _rounded,
}

# Rates that shrink from phase to phase, as in the published method, and few steps: they can be taken on paper.
SEARCH = Preset(
    name="toy",
    phases=(Phase("W", 0.1, 2), Phase("W+", 0.05, 2), Phase("W++", 0.02, 2)),
    optimizer="ngd",
    patience=None,
    lpips_levels=1,
    lpips_smallest=16,
    l1_weight=1.0,
    identity_weight=0.0,
)
LOSS = RestorationLoss((Term("l1", 1.0, L1()),))  # no network has seen such pictures


@dataclass(frozen=True)
class Way:
    """A search on the plane: `points` [steps + 1, 2] from start to result, and the phase of each step."""

    points: Tensor
    phases: tuple[str, ...]


def observed(task: str, truth: tuple[float, float] = TRUTH, *, generator: torch.Generator | None = None) -> Tensor:
    """The input y [1, 3, h, w] of a toy task: `f` of the true point, with noise from `generator` in denoising.

    Raises FigureError for a task that the toy does not have, and for no point.
    """
    if task not in FORWARD:
        raise FigureError(f"task {task!r}: expected one of {', '.join(FORWARD)}")
    _check_point(truth)
    y = FORWARD[task](picture_of(torch.tensor([truth], dtype=torch.float64)))
    if task == "denoising":  # one number a column, so that y is a point, too
        y = y + SIGMA * CONTRAST * torch.randn(1, 1, 1, 2, generator=generator, dtype=torch.float64)
    return y.clone()


def search(task: str, y: Tensor, *, preset: Preset = SEARCH, start: float | None = None) -> Way:
    """The way of `restore` on the toy, from its mean or from the latent `start`. FigureError for another."""
    if start is not None and not is_number(start):
        raise FigureError(f"start is {shown(start)}: expected a finite number")
    prior = Prior("toy", ToyGenerator(), None, None, 1.0)
    seen: list[tuple[str, Tensor]] = []
    first = None if start is None else torch.tensor([[start]], dtype=torch.float64)
    result = restore(
        prior, y, FORWARD[task], preset=preset, start=first, loss=LOSS,
        callback=lambda step: seen.append((step.phase, point_of(step.image()))),
    )  # fmt: skip
    points = torch.cat([*(point for _, point in seen), prior.generator.brightness(result.latents)])
    return Way(points, tuple(phase for phase, _ in seen))


def plane(
    task: str | None = None,
    y: Tensor | None = None,
    ways: Mapping[str, Way] | None = None,
    *,
    truth: tuple[float, float] | None = TRUTH,
    size: float = 4.6,
    legend: bool = True,
) -> Figure:
    """The manifold, the half-plane of W+, what agrees with `y` in a `task`, and ways of the search.

    The pictures of W are a curve; those of W+ lie above the dotted line; W++ reaches every point. What agrees with y is
    orange: a line where a number is missing, a cell where values are rounded, a disc of two standard deviations where
    there is noise. A way has the colours of its phases; a second one is dashed, its marks open. Raises FigureError for
    another task, a size or a truth that is none.
    """
    if task is not None and (task not in FORWARD or y is None):
        raise FigureError(f"task {task!r} with y {type(y).__name__}: expected one of {', '.join(FORWARD)} and an input")
    check_size(size)
    if truth is not None:
        _check_point(truth)
    with plt.style.context(STYLE):
        figure, ax = plt.subplots(figsize=(size, (0.95 if legend else 0.76) * size), layout="constrained")
        _draw(ax, task, y, ways or {}, truth)
        if legend:
            figure.legend(loc="outside lower center", ncols=2, fontsize=8)
        plt.close(figure)
    return figure


def _check_point(truth: tuple[float, float]) -> None:
    """FigureError unless it is a point of the plane."""
    if not isinstance(truth, Sequence) or isinstance(truth, str) or len(truth) != 2:
        raise FigureError(f"truth is {shown(truth)}: expected two numbers")
    for value in truth:
        if not is_number(value):
            raise FigureError(f"truth has {shown(value)}: expected two finite numbers")


def planes(inputs: Mapping[str, Tensor], ways: Mapping[str, Way], *, size: float = 3.4) -> Figure:
    """`plane` for several tasks, two side by side, each `size` inches wide, with one legend for all.

    `inputs` and `ways` hold y and the way of the search by task. Raises FigureError for tasks that are not the toy's,
    and if a task lacks its way.
    """
    check_size(size)
    if set(inputs) != set(ways) or not 0 < len(inputs) or not set(inputs) <= set(FORWARD):
        raise FigureError(f"inputs {', '.join(inputs)}, ways {', '.join(ways)}: expected tasks of {', '.join(FORWARD)}")
    rows, columns = -(-len(inputs) // 2), min(2, len(inputs))
    with plt.style.context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(columns * size, rows * 0.8 * size + 0.5), sharex=True, sharey=True, squeeze=False,
            layout="constrained",
        )  # fmt: skip
        for ax, task in zip(axes.flat, inputs, strict=False):
            _draw(ax, task, inputs[task], {"": ways[task]}, TRUTH)
            ax.set_title(task)
            ax.label_outer()
        for ax in axes.flat[len(inputs) :]:
            ax.remove()
        labels = {
            label: line for ax in figure.axes for line, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.legend(labels.values(), labels, loc="outside lower center", ncols=4, fontsize=8)
        plt.close(figure)
    return figure


def drawn(
    task: str, y: Tensor, ways: Mapping[str, Way] | None = None, *, size: float = 4.6, legend: bool = True
) -> Tensor:
    """`plane` as an image [1, 3, H, W] in [0, 1]. Without a legend two drawings lie exactly above each other."""
    figure = plane(task, y, ways, size=size, legend=legend)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = torch.from_numpy(np.asarray(canvas.buffer_rgba()).copy())  # [H, W, 4]
    return pixels[..., :3].permute(2, 0, 1)[None] / 255


def _draw(
    ax: Axes, task: str | None, y: Tensor | None, ways: Mapping[str, Way], truth: tuple[float, float] | None
) -> None:
    """Everything that `plane` shows, but for the legend."""
    w = torch.linspace(*SPAN, 200)
    ax.plot(w, w.square() - w, color="#4D4D4D", linewidth=2, label="W: the manifold")
    ax.axhspan(-0.25, HEIGHT[1], color="#4D4D4D", alpha=0.06, linewidth=0)
    ax.axhline(-0.25, color="#4D4D4D", linestyle=":", linewidth=1, label="W+: above this line")
    if task is not None:
        _draw_agreeing(ax, task, y)
    for i, (name, way) in enumerate(ways.items()):
        _draw_way(ax, way, name, "-" if i == 0 else "--")
    if truth is not None:
        ax.plot(*truth, "*", color="#000000", markersize=11, label="truth", zorder=5)
    ax.set(xlim=SPAN, ylim=HEIGHT, xlabel="brightness of pixel 1", ylabel="brightness of pixel 2", aspect="equal")


def _draw_agreeing(ax: Axes, task: str, y: Tensor) -> None:
    """{x : f(x) = y}, or where y may have come from."""
    label = "agrees with y"
    if task == "upsampling":
        total = 2 * (y.mean().item() - 0.5) / CONTRAST
        ax.plot(SPAN, [total - x for x in SPAN], color=SET_COLOUR, linewidth=2, label=label)
        return
    first, second = ((value.item() - 0.5) / CONTRAST for value in y.mean((0, 1, 2)))
    if task == "inpainting":
        ax.axhline(second, color=SET_COLOUR, linewidth=2, label=label)
    elif task == "denoising":
        disc = Circle((first, second), 2 * SIGMA, color=SET_COLOUR, alpha=0.35, linewidth=0, label=label)
        ax.add_patch(disc)
        ax.plot(first, second, "+", color=SET_COLOUR, markersize=10, label="y")
    else:
        corner = (first - CELL / 2, second - CELL / 2)
        ax.add_patch(Rectangle(corner, CELL, CELL, color=SET_COLOUR, alpha=0.35, linewidth=0, label=label))


def _draw_way(ax: Axes, way: Way, name: str, style: str) -> None:
    """A polygon a phase, in the phase's colour, and its end."""
    for phase in dict.fromkeys(way.phases):
        at = [i for i, each in enumerate(way.phases) if each == phase]
        part = way.points[at[0] : at[-1] + 2]
        label = f"{name}: {phase}" if name else phase
        ax.plot(
            part[:, 0], part[:, 1], style, color=PHASE_COLOURS[phase], linewidth=1.6, marker="o", markersize=4,
            markerfacecolor=PHASE_COLOURS[phase] if style == "-" else "white", label=label, zorder=4,
        )  # fmt: skip
