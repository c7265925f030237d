"""Say which lines of the built book do not fit its page: `python book/fit.py _build/html`. `make book` runs it.

At 1280 px a page shows 84 characters of code or of printed output. Longer lines wrap (see _static/rusr.css), which is
well for a sentence and destroys a table: its columns are told by runs of spaces. So a printed table that is wider than
the page fails the build, and so does a line of code that is not a comment and would wrap.

At 390 px the letters of a printed table shrink until it fits (_static/rusr.js). From 67 characters on nobody reads
them, and the table has to be markup, `figures.table`. What a program has written into a terminal, below the line that
called it, is shown as it was written.
"""

import html
import re
import sys
from pathlib import Path

WIDTH = 84  # characters of printed output at 1280 px
PHONE = 66  # characters of a printed table at 390 px, in letters of 8 CSS pixels
TERMINAL = re.compile(r"\s*\$ rusr ")  # how a transcript begins
CODE = 88  # characters of code, whose letters are smaller
COLUMNS = re.compile(r"\S {3,}\S.* {2,}\S")  # three columns or more
OUTPUT = re.compile(r'<div class="output (?:stream|text_plain)[^"]*">.*?<pre>(.*?)</pre>', re.S)
SOURCE = re.compile(r'<div class="cell_input[^"]*">.*?<pre>(.*?)</pre>', re.S)


def _lines(block: str) -> list[str]:
    return html.unescape(re.sub(r"<[^>]+>", "", block)).split("\n")


def too_wide(page: str) -> list[str]:
    """The lines of a built page that do not fit it."""
    printed = [_lines(block) for block in OUTPUT.findall(page)]
    code = [line for block in SOURCE.findall(page) for line in _lines(block)]
    wide = []
    for lines in printed:
        room = WIDTH if any(map(TERMINAL.match, lines)) else PHONE
        wide += [line for line in lines if len(line.rstrip()) > room and COLUMNS.search(line.strip())]
    return wide + [line for line in code if len(line.rstrip()) > CODE]


def main(folder: Path) -> int:
    """Print what does not fit the pages of a built book; -> 1 if there is anything, or nothing to look at."""
    pages = sorted((folder / "book").glob("*.html"))
    found = [(page.name, line) for page in pages for line in too_wide(page.read_text(encoding="utf-8"))]
    for name, line in found:
        print(f"{name}: {len(line.rstrip())} characters do not fit the page: {line.strip()[:60]}...")
    print(f"{len(pages)} pages looked at, {len(found)} lines that do not fit")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
