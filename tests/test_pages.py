"""Pages of the book in a browser: nothing is wider than its column, on a desk and on a phone.

A formula that is wider shrinks (MathJax); on a phone none of the book's may shrink until it cannot be read.
"""

import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import nbformat
import pytest
import yaml

from rusr_core import figures

ROOT = Path(__file__).resolve().parent.parent
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WIDTHS = (1280, 390)
LETTERS = 11.5  # CSS pixels of a formula on a phone, at least; the text around it has 18
MEASURE = """<!doctype html><body>
<iframe id="page" src="/page.html" style="width:{width}px;height:3000px;border:0"></iframe>
<script>
document.getElementById("page").onload = () => setTimeout(() => {{
  const page = document.getElementById("page").contentDocument, found = [];
  const column = page.querySelector("article").getBoundingClientRect();
  for (const element of page.querySelectorAll("article *")) {{
    const box = element.getBoundingClientRect(), style = page.defaultView.getComputedStyle(element);
    const inside = element.closest("svg, mjx-container, .rusr-timeline, .rusr-compare, .headerlink, button");
    const hidden = style.visibility === "hidden" || style.position === "absolute" || !box.width;
    if ((!inside || inside === element) && !hidden && box.right > column.right + 1) {{
      found.push(element.tagName + "." + element.className);
    }} else if (element.matches("pre, .cell_output, table") && element.scrollWidth > element.clientWidth + 1) {{
      found.push("scrolls: " + element.tagName + "." + element.className);
    }}
  }}
  for (const caption of page.querySelectorAll("article caption")) {{
    const box = caption.getBoundingClientRect();  // letters below each other, where a table is no table any more
    if (box.width < column.width / 3 && box.height > box.width) found.push("squeezed: " + caption.textContent);
  }}
  for (const pre of page.querySelectorAll(".cell_output pre")) {{
    const style = page.defaultView.getComputedStyle(pre), lines = pre.textContent.trimEnd().split("\\n");
    const height = pre.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
    const columns = lines.every((line) => /\\S {{2,}}\\S/.test(line));
    if (columns && height > (lines.length + 0.5) * parseFloat(style.lineHeight)) {{
      found.push("wraps: " + lines[0]);
    }}
  }}
  const displayed = [...page.querySelectorAll("mjx-container[display=true] > svg")];
  const size = (svg) => (2 * svg.getBoundingClientRect().width) / parseFloat(svg.getAttribute("width"));
  const letters = displayed.map(size);  // CSS pixels: the width in the attribute is in ex, half of them
  const formulas = page.querySelectorAll("mjx-container").length;
  const report = document.createElement("pre");
  report.id = "report";
  report.textContent = JSON.stringify({{found, formulas, letters, column: column.width}});
  document.body.append(report);
}}, 1500);
</script></body>"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def overflow(site: Path, page: str, width: int) -> dict:
    """What is wider than the column of a built page that is shown at `width` CSS pixels."""
    frame = site / f"measure-{width}.html"
    frame.write_text(MEASURE.format(width=width).replace("/page.html", f"/{page}"), encoding="utf-8")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/{frame.name}"
        words = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,3200", "--virtual-time-budget=9000"]
        done = subprocess.run([BROWSER, *words, "--dump-dom", address], capture_output=True, text=True, timeout=90)
    finally:
        server.shutdown()
        server.server_close()
    report = re.search(r'<pre id="report">(.*?)</pre>', done.stdout, re.S)
    assert report, done.stderr[-1000:]
    return json.loads(report[1].replace("&gt;", ">").replace("&lt;", "<").replace("&amp;", "&"))


def displayed_formulas() -> list[str]:
    """All formulas of the book that have lines of their own."""
    pages = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "book").glob("*.md"))]
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        pages += [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    return [formula for page in pages for formula in re.findall(r"\$\$.+?\$\$", page, re.S)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page with everything that is wide, built with the book's configuration and style."""
    place = tmp_path_factory.mktemp("book")
    (place / "book").mkdir()
    shutil.copytree(ROOT / "book/_static", place / "book/_static")
    shutil.copy(ROOT / "book/references.bib", place / "book/references.bib")
    formula = "$$ " + " + ".join(f"\\frac{{a_{{{i}}}}}{{b_{{{i}}} + \\sqrt{{c_{{{i}}}}}}}" for i in range(30)) + " $$"
    table = figures.table(
        {f"row {i}": [0.123456789] * 9 for i in range(3)},
        ["name", *map("column {}".format, range(9))],
        caption="a caption of several words",
    )
    outputs = [
        nbformat.v4.new_output("stream", text="a long sentence of words " * 12 + "\n" + "x" * 300 + "\n"),
        nbformat.v4.new_output("display_data", {"text/html": str(table), "text/plain": "table"}),
    ]
    printed = "\n".join("  ".join(f"{i * 10**7 + j:9d}" for j in range(6)) for i in range(1, 4))  # 64 characters
    columns = [nbformat.v4.new_output("stream", text=printed + "\n")]
    cells = [
        nbformat.v4.new_markdown_cell("# Wide\n\n" + formula + "\n\n| a | b |\n|---|---|\n| `" + "y" * 200 + "` | 1 |"),
        nbformat.v4.new_code_cell("value = '" + "z" * 200 + "'", outputs=outputs, execution_count=1),
        nbformat.v4.new_code_cell("print(printed)", outputs=columns, execution_count=2),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), place / "book/wide.ipynb")
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    config["execute"] = {"execute_notebooks": "off"}
    (place / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (place / "book/formulas.md").write_text("# Formulas\n\n" + "\n\n".join(displayed_formulas()), encoding="utf-8")
    contents = "format: jb-book\nroot: book/wide\nchapters:\n- file: book/formulas\n"
    (place / "_toc.yml").write_text(contents, encoding="utf-8")
    words = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(place), "--quiet"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return place / "_build/html"


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed here")
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_its_column(site, width):
    measured = overflow(site, "book/wide.html", width)
    assert measured["column"] <= width and measured["formulas"] == 1
    assert measured["found"] == []


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed here")
def test_formulas_can_be_read_on_a_phone(site):
    formulas, letters = displayed_formulas(), overflow(site, "book/formulas.html", 390)["letters"]
    assert len(letters) == len(formulas) > 40
    assert [formula for formula, size in zip(formulas, letters, strict=True) if size < LETTERS] == []
    assert min(overflow(site, "book/wide.html", 390)["letters"]) < LETTERS  # thirty fractions in a row


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium is installed here")
def test_the_measurement_sees_what_is_too_wide(site):
    page = (site / "book/wide.html").read_text(encoding="utf-8")
    wide = '<div style="width:2000px">too wide</div></article>'
    (site / "book/wider.html").write_text(page.replace("</article>", wide, 1), encoding="utf-8")
    assert overflow(site, "book/wider.html", 390)["found"]
