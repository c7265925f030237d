"""Export every captioned figure of the book for slides: `make slides`, or

    python book/slides.py _build/slides [chapter ...]

Chapters run at twice the page's resolution; each figure is saved as NAME.png; captions.md
lists name, caption and alternative text.
"""

import base64
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

BOOK = Path(__file__).resolve().parent
DPI = "220"


def figures(notebook: nbformat.NotebookNode) -> list[tuple[str, str, str, bytes]]:
    """(file name, caption, alt text, bytes) of each captioned figure of an executed chapter."""
    found = []
    for cell in notebook.cells:
        about = cell.metadata.get("mystnb", {})
        if "figure" not in about:
            continue
        for output in cell.outputs:
            if picture := output.get("data", {}).get("image/png"):
                figure = about["figure"]
                picture = base64.b64decode(picture)
                found.append((f"{figure['name']}.png", figure["caption"], about["image"]["alt"], picture))
    return found


def export(folder: Path, chapters: list[Path]) -> int:
    """Run the chapters and write their figures; -> how many."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ |= {"RUSR_STATIC": "1", "RUSR_DPI": DPI}
    lines = ["# Captions\n"]
    for chapter in chapters:
        notebook = nbformat.read(chapter, as_version=4)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(BOOK)}}).execute()
        for name, caption, alt, picture in figures(notebook):
            (folder / name).write_bytes(picture)
            lines.append(f"**{name}** {caption}\n\n*{alt}*\n")
        print(chapter.stem, flush=True)
    (folder / "captions.md").write_text("\n".join(lines), encoding="utf-8")
    return len(lines) - 1


if __name__ == "__main__":
    names = sys.argv[2:] or sorted(path.stem for path in BOOK.glob("*.ipynb"))
    count = export(Path(sys.argv[1]), [BOOK / f"{name}.ipynb" for name in names])
    print(f"{count} figures in {sys.argv[1]}")
