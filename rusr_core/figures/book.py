"""What only the book needs: numbers for its prose, and whether its static pages are being built."""

import os


def glue(name: str, value: float | str) -> None:
    """Hand a number or a word of this cell to the chapter's prose, as `{glue:text}` there.

    Without the book's tools it does nothing."""
    try:
        from myst_nb import glue as hand_over
    except ImportError:  # Colab, or a library without the book's extra
        return
    hand_over(name, value if isinstance(value, str) else float(value), display=False)


def is_static() -> bool:
    """True while the book is built (`RUSR_STATIC=1`): widgets would be dead on its pages."""
    return os.environ.get("RUSR_STATIC") == "1"
