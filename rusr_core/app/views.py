"""What the page of `rusr app` shows, as markup: nothing of a picture is written to disk for it."""

from collections.abc import Sequence
from html import escape

from torch import Tensor

from rusr_core.app.desk import Picture, Shown
from rusr_core.figures import Html, compare, table
from rusr_core.figures.interactive import data_url
from rusr_core.images import resize
from rusr_core.photos.marks import mark_of
from rusr_core.restore import Samples, Search

WIDTH = 256  # CSS pixels of a picture
PICTURE = f"width:{WIDTH}px;max-width:100%;image-rendering:pixelated"
ROW = "display:flex;flex-wrap:wrap;gap:1em;align-items:flex-start"
FIGURE = "margin:0;text-align:center;font-size:.9em"
LINK = (
    "display:inline-block;margin:.4em 1em .4em 0;padding:.35em .9em;border-radius:8px;border:1px solid currentColor;"
    "text-decoration:none;color:inherit"
)


def pictures(images: Sequence[Tensor], captions: Sequence[str]) -> Html:
    """Images `[1, 3, H, W]` in [0, 1] in a row, each with a caption; small ones are enlarged by whole pixels."""
    cells = [
        f'<figure style="{FIGURE}"><img alt="{escape(caption)}" src="{data_url(image)}" style="{PICTURE}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
        for image, caption in zip(images, captions, strict=True)
    ]
    return Html(f'<div style="{ROW}">{"".join(cells)}</div>')


def findings(picture: Picture) -> Html:
    """What was found of a file: each number, how sure it is, and where it comes from."""
    rows = [
        (item.name, item.words, "" if item.value is None else f"{100 * item.confidence:.0f}\u00a0%", item.source)
        for item in picture.estimate.findings
    ]
    return table(rows, ["what", "value", "sure", "from"])


def progress(y: Tensor, shown: Shown, phases: Sequence[tuple[str, Tensor]]) -> Html:
    """A search on its way: the input, the last picture of each phase that has ended, and the newest."""
    ended = [(space, image) for space, image in phases if space != shown.phase]
    newest = (f"{shown.phase}, step {shown.step + 1}, loss {shown.loss:.4g}", shown.image)
    captions, images = zip(("input", y), *ended, newest, strict=True)
    return pictures(images, captions)


def outcome(name: str, y: Tensor, result: Search, record: dict[str, object]) -> Html:
    """A finished search: before and after, its phases, all answers, and links that save them with their record."""
    first = result.phases[0].image.shape[-1]
    parts = [compare(resize(y, (first, first), "nearest"), result.image[:1], labels=("input", "restored"), alt=name)]
    parts.append(pictures([p.image[:1] for p in result.phases], [p.space for p in result.phases]))
    stem = escape(name.rsplit(".", 1)[0])
    answers = [(f"{stem}-restored", result.image[:1])]
    if isinstance(result, Samples):
        answers += [(f"{stem}-answer{k + 2}", image[None]) for k, image in enumerate(result.answers[0, 1:])]
        answers.append((f"{stem}-mean", result.mean))
        shown = [image for _, image in answers] + [result.invented.expand(-1, 3, -1, -1)]
        words = [f"answer {k + 1}" for k in range(result.samples)] + ["their mean", "invented: white"]
        parts.append(pictures(shown, words))
    mark = mark_of(record)
    parts += [
        f'<a style="{LINK}" class="rusr-save" download="{file}.png" href="{data_url(image, mark)}">Save {file}.png</a>'
        for file, image in answers
    ]
    return Html("".join(parts))
