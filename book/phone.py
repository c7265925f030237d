"""Put the narrow figures into the built book: `python book/phone.py _build`. `make book` runs it.

`rusr_core/figures/narrow.py` has drawn each wide figure once more for a phone, and the executed chapters hold both. The
narrow one is written beside the other in `_images`, and the page tells the browser to take it where the window is
narrow; alternative text, caption and number stay those of the figure.

The wide one has its density written out, too: in a window that becomes wider Chromium else keeps that of the narrow one
and shows the wide one at half its size.
"""

import base64
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

from rusr_core.figures.narrow import MIME

PHONE = 600  # CSS pixels; _static/rusr.css changes its tables there, too


def pairs(notebook: nbformat.NotebookNode) -> Iterator[tuple[str, bytes]]:
    """(file name of a figure in the built book, its narrow PNG), for each figure of an executed chapter."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if MIME in data and "image/png" in data:
                digest = hashlib.sha256(base64.b64decode(data["image/png"])).hexdigest()  # as MyST-NB names it
                yield f"{digest}.png", base64.b64decode(data[MIME])


def add(page: str, name: str, narrow: str) -> str:
    """A page in which the picture `name` has the file `narrow` for phones. ValueError if it does not show `name`."""
    image = re.compile(rf'<img ([^>]*src="([^"]*_images/){re.escape(name)}"[^>]*>)')
    if not image.search(page):
        raise ValueError(f"a page without the picture {name} of its chapter")
    source = rf'<source media="(max-width: {PHONE}px)" srcset="\g<2>{narrow} 2x">'
    return image.sub(rf'<picture>{source}<img srcset="\g<2>{name} 1x" \g<1></picture>', page)


def main(build: Path) -> int:
    """Write the narrow figures of a build and name them in its pages; -> how many."""
    count = 0
    for chapter in sorted((build / "jupyter_execute/book").glob("*.ipynb")):
        page = build / "html/book" / f"{chapter.stem}.html"
        text = page.read_text(encoding="utf-8")
        for name, picture in pairs(nbformat.read(chapter, as_version=4)):
            narrow = name.replace(".png", "-narrow.png")
            (build / "html/_images" / narrow).write_bytes(picture)
            if narrow not in text:
                text = add(text, name, narrow)
                count += 1
        page.write_text(text, encoding="utf-8")
    return count


if __name__ == "__main__":
    print(f"{main(Path(sys.argv[1]))} figures have a narrow one for phones")
