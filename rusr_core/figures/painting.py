"""A brush for a live kernel: paint a mask on a picture in the notebook, and compare what the search made of it.

The widget is an anywidget, so that it works wherever notebooks do: JupyterLab, Colab, VS Code.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rusr_core.figures.book import is_static
from rusr_core.figures.interactive import Html, check_width, data_url
from rusr_core.figures.panels import FigureError, _batch
from rusr_core.images import resize

SCRIPT, WIDGET = (Path(__file__).with_name(name) for name in ("painting.mjs", "widget.mjs"))


def plain_script() -> str:
    """The brush as statements for any script: `Brush`, its `tools`, and what draws it."""
    return SCRIPT.read_text(encoding="utf-8")


def module() -> str:
    """The widget as one module, as anywidget wants it."""
    return plain_script() + WIDGET.read_text(encoding="utf-8")


def brush(x: Tensor, *, width: int = 384) -> object:
    """A widget to paint holes on `x` `[1, 3, H, W]` in [0, 1], by mouse, touch or keyboard; `width` in CSS pixels.

    Its `known` is the mask `[1, 1, H, W]` for `degradations.Mask`: 1 where nothing was painted, at first everywhere.
    `lay_over(image)` lays a restored picture over it, with a slider to compare. While the book is built it is one
    sentence. FigureError for several images, and where anywidget is not installed.
    """
    check_width(width)
    x = _batch(x)
    if len(x) != 1:
        raise FigureError(f"a brush paints on one image, got {len(x)}")
    if is_static():
        return Html("<p><em>Open this page in Jupyter or Colab to paint holes of your own.</em></p>")
    return _widget(tuple(x.shape[-2:]))(
        picture=data_url(x), width=width, painted=bytes([255]) * (x.shape[-2] * x.shape[-1])
    )


def _widget(size: tuple[int, int]) -> type:
    """The class of a widget for a picture of (height, width). FigureError where anywidget is not installed."""
    try:
        import anywidget
        import traitlets
    except ImportError as error:
        raise FigureError(f"the brush needs anywidget: pip install 'rusr[book]' ({error})") from error

    class Brush(anywidget.AnyWidget):
        """The picture, what was painted, and what was made of it."""

        _esm = module()
        picture = traitlets.Unicode().tag(sync=True)
        restored = traitlets.Unicode().tag(sync=True)
        width = traitlets.Int().tag(sync=True)
        painted = traitlets.Bytes().tag(sync=True)  # [H * W], 255 where the picture is known

        @traitlets.validate("painted")
        def _of_the_picture(self, proposal: dict[str, object]) -> bytes:
            """FigureError for a mask of another size."""
            mask, expected = proposal["value"], size[0] * size[1]
            if len(mask) != expected:
                raise FigureError(f"painted has {len(mask)} bytes: expected {expected}, one a pixel")
            return mask

        @property
        def known(self) -> Tensor:
            """What was not painted over, `[1, 1, H, W]` in [0, 1], 1 = known."""
            values = np.frombuffer(self.painted, np.uint8).astype(np.float32) / 255
            return torch.from_numpy(values).view(1, 1, *size)

        def lay_over(self, image: Tensor) -> None:
            """Lay `image` `[1, 3, h, w]` over the picture, behind a slider. FigureError for several images."""
            image = _batch(image)
            if len(image) != 1:
                raise FigureError(f"one image is laid over the picture, got {len(image)}")
            self.restored = data_url(resize(image.clamp(0, 1), size, "area"))

    return Brush
