"""Interactive figures that need no server, and a widget for a live kernel.

`compare` and `timeline` are plain HTML: data-URI JPEGs, CSS and one `<input type="range">` each, so that they
work in the static book, offline, by mouse, touch and keyboard. `live` puts the method itself into the built book, where
such a figure stands until the reader asks. `explorer` is for a live kernel only.
"""

import base64
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.figures.book import is_static
from rusr_core.figures.panels import FigureError, _batch, panel
from rusr_core.images import Metadata, encoded, resize, to_pil
from rusr_core.limits import MAX_COUNT, MAX_SIDE, MAX_STEPS, check_seed, check_whole

JPEG_QUALITY = 92
LIVE_OPTIONS = {
    "restore": ("task", "level", "seed", "steps", "spaces", "weights", "portrait", "open"),
    "walk": ("seed", "mix"),
}
# the accent is that of the book's theme, light or dark, and elsewhere the charts' blue
RANGE = "width:100%;margin:.4em 0 0;accent-color:var(--pst-color-primary, #0072B2)"


class Html(str):
    """Markup that notebooks display as it is."""

    def _repr_html_(self) -> str:
        return str(self)


def compare(
    before: Tensor,
    after: Tensor,
    *,
    labels: tuple[str, str] = ("before", "after"),
    alt: str,
    width: int = 384,
) -> Html:
    """A before/after slider of two images `[1, 3, H, W]` in [0, 1]; `alt` says what is to be seen.

    The smaller image is enlarged by repeating pixels. `width` is the picture's width on the page, CSS pixels.
    """
    check_width(width)
    before, after = _same_size(before, after)
    height, columns = after.shape[-2:]
    left, right = (escape(label) for label in labels)
    cover = "position:absolute;inset:0;width:100%;height:100%;margin:0"
    box = f"position:relative;aspect-ratio:{columns}/{height};overflow:hidden"
    line = "position:absolute;top:0;bottom:0;left:var(--cut);width:2px;margin-left:-1px;background:#fff"
    moved = "this.parentNode.style.setProperty('--cut', this.value + '%')"
    return Html(
        f'<div class="rusr-compare" role="group" aria-label="{escape(alt)}" '
        f'style="--cut:50%;max-width:{width}px"><div style="{box}">'
        f'<img class="dark-light" alt="{right}: {escape(alt)}" src="{_jpeg(after)}" style="{cover}">'
        f'<img class="dark-light" alt="{left}: {escape(alt)}" src="{_jpeg(before)}" '
        f'style="{cover};clip-path:inset(0 calc(100% - var(--cut)) 0 0)">'
        f'<span aria-hidden="true" style="{line};box-shadow:0 0 2px #000"></span></div>'
        f'<input type="range" min="0" max="100" value="50" style="{RANGE}" '
        f'aria-label="Share of {left} that is shown, in percent" oninput="{moved}">'
        f'<div style="display:flex;justify-content:space-between"><span>{left}</span><span>{right}</span>'
        "</div></div>"
    )


@dataclass
class Frames:
    """A callback of `restore` that keeps a picture of one image now and then, for `timeline`."""

    every: int = 1  # steps from one kept picture to the next, in each phase
    image: int = 0  # which image of the batch
    view: Callable[[Tensor], Tensor] = lambda x: x  # what to keep of the guess [1, 3, R, R]
    images: list[Tensor] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)  # "W+, step 12"

    def __post_init__(self) -> None:
        check_whole("every", self.every, 1, MAX_STEPS, FigureError)
        check_whole("image", self.image, 0, MAX_COUNT, FigureError)

    def __call__(self, step: object) -> None:
        """`step` is a `restore.Step`."""
        if step.step % self.every == 0:
            self.images.append(self.view(step.image()[self.image : self.image + 1].cpu()))
            self.labels.append(f"{step.phase}, step {step.step}")


def timeline(frames: Sequence[Tensor], labels: Sequence[str], *, alt: str, width: int = 384) -> Html:
    """A scrubber over `frames`, each `[N, 3, H, W]` in [0, 1] of one size, with a label each; the first of N is shown.

    It opens at the first frame. All frames travel as one tall JPEG, moved behind a window by the range input.
    """
    check_width(width)
    if not frames or len(frames) != len(labels):
        raise FigureError(f"{len(frames)} frames and {len(labels)} labels: expected as many, at least one")
    pictures = [_batch(frame)[:1] for frame in frames]
    sizes = sorted({tuple(picture.shape[2:]) for picture in pictures})
    if len(sizes) > 1:
        raise FigureError(f"frames of {', '.join(map(str, sizes))} px: expected one size")
    strip = torch.cat(pictures, 2)
    num, last = len(frames), len(frames) - 1
    height, columns = frames[0].shape[-2:]
    names, shown = escape("|".join(label.replace("|", "/") for label in labels)), escape(labels[0])
    box = f"position:relative;aspect-ratio:{columns}/{height};overflow:hidden"
    strip_style = (
        f"position:absolute;left:0;top:0;margin:0;width:100%;max-width:none;height:{num}00%;"
        f"transform:translateY(calc(var(--frame) * -100% / {num}))"
    )
    moved = (
        "const box=this.parentNode,label=box.dataset.labels.split('|')[this.value];"
        "box.style.setProperty('--frame',this.value);box.lastElementChild.textContent=label;"
        "this.setAttribute('aria-valuetext',label)"
    )
    return Html(
        f'<div class="rusr-timeline" role="group" aria-label="{escape(alt)}" data-labels="{names}" '
        f'style="--frame:0;max-width:{width}px"><div style="{box}">'
        f'<img class="dark-light" alt="{escape(alt)}" src="{_jpeg(strip)}" style="{strip_style}"></div>'
        f'<input type="range" min="0" max="{last}" value="0" style="{RANGE}" aria-label="Frame" '
        f'aria-valuetext="{shown}" oninput="{moved}"><div style="text-align:center">{shown}</div></div>'
    )


def live(recorded: Html, *, kind: str = "restore", **options: object) -> Html:
    """A figure that runs in the reader's browser, in the built book; until the reader asks, `recorded` stands there.

    `kind` is "restore", the latent search, or "walk", samples of W and mixtures of two. `options` of a restoration, all
    optional: `task` ("paint", or letters as "UN"), `level`, `seed`, `steps` a phase, `spaces` (a list of W, W+, W++),
    `weights` of the loss by name, `portrait` (a number of Portraits-X as "007"), `open` (what is unfolded at first:
    "search", the settings, or "weights", those of the loss, too); of a walk: `seed`, `mix` ("none", "share" or
    "layers"). Outside the book, and without JavaScript, the figure is `recorded` alone. FigureError for another kind
    or option. The engine is in book/live.
    """
    if kind not in LIVE_OPTIONS:
        raise FigureError(f"live figure {kind!r}: expected {' or '.join(map(repr, LIVE_OPTIONS))}")
    unknown = sorted(set(options) - set(LIVE_OPTIONS[kind]))
    if unknown:
        raise FigureError(f"option {unknown[0]!r} of a live {kind}: expected {', '.join(LIVE_OPTIONS[kind])}")
    wanted = escape(json.dumps({"kind": kind, **options}, sort_keys=True))
    return Html(f'<div class="rusr-live" data-live="{wanted}">{recorded}</div>')


def explorer(prior: object, x: Tensor, *, steps: int = 40, seed: int = 0) -> object:
    """A live-kernel widget: choose task and level, press the button, see `x` `[1, 3, R, R]` restored.

    `steps` of each phase is where the slider stands at first, 1 to 100,000; FigureError for other numbers. Needs
    ipywidgets. While the book is built it is a sentence instead.
    """
    check_whole("steps", steps, 1, MAX_STEPS, FigureError)
    check_seed(seed, FigureError)
    if is_static():
        return Html("<p><em>Open this page in Jupyter or Colab to choose a task and a level yourself.</em></p>")
    import ipywidgets as widgets
    from IPython.display import display

    from rusr_core import presets, tasks
    from rusr_core.restore import restore

    task = widgets.Dropdown(options=["upsampling", "denoising", "inpainting", "deartifacting"], description="task")
    level = widgets.SelectionSlider(options=["XS", "S", "M", "L", "XL"], value="M", description="level")
    count = widgets.IntSlider(steps, 1, max(150, steps), description="steps")
    button, output = widgets.Button(description="Restore"), widgets.Output()

    def run(_button: object) -> None:
        f = tasks.get(task.value, level.value, seed=seed)
        y = f.degrade(x, torch.Generator().manual_seed(seed))
        with output:
            output.clear_output(wait=True)
            result = restore(prior, y, f, preset=presets.get("default").shortened(count.value))
            display(panel(y, *[p.image for p in result.phases], x, titles=["input", "W", "W+", "W++", "truth"]))

    button.on_click(run)
    return widgets.VBox([task, level, count, button, output])


def check_width(width: int) -> None:
    """FigureError unless a figure can be so wide, in CSS pixels."""
    check_whole("width", width, 1, MAX_SIDE, FigureError)


def _same_size(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Two single images `[1, 3, H, W]`, the smaller enlarged to the larger by repeating pixels."""
    a, b = _batch(a), _batch(b)
    if len(a) != 1 or len(b) != 1:
        raise FigureError(f"a comparison needs two single images, got {len(a)} and {len(b)}")
    height, width = max(a.shape[-2], b.shape[-2]), max(a.shape[-1], b.shape[-1])
    if a.shape[-2] * b.shape[-1] != a.shape[-1] * b.shape[-2]:
        raise FigureError(f"images of different shape: {list(a.shape[-2:])} and {list(b.shape[-2:])}")
    return resize(a, (height, width), "nearest"), resize(b, (height, width), "nearest")


def data_url(image: Tensor, metadata: Metadata | None = None) -> str:
    """One image `[1, 3, H, W]` in [0, 1] as the data URL of a PNG file, which says `metadata` of itself."""
    return "data:image/png;base64," + base64.b64encode(encoded(image, Path("figure.png"), metadata=metadata)).decode()


def _jpeg(image: Tensor) -> str:
    """One image as a data URI, smaller and a little changed."""
    buffer = io.BytesIO()
    to_pil(image).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
