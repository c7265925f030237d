"""Figures for phones: pictures wrap and keep their titles, charts stand below each other, nothing else changes."""

import base64
import io
import subprocess
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image
from sources import script

from rusr_core import figures
from rusr_core.figures import charts, narrow


def pictures(count, rows=1):
    """Pictures of one grey each, so that they can be found again in a drawing."""
    greys = torch.linspace(0.1, 0.9, count * rows).view(rows, count)
    return [greys[:, i, None, None, None].expand(-1, 3, 8, 8) for i in range(count)]


def drawn(figure):
    return Image.open(io.BytesIO(narrow.narrowed(figure))).convert("L")


def places(image, count):
    """(left, top) of each grey of `pictures` in a drawing, in its pixels."""
    found = []
    for grey in torch.linspace(0.1, 0.9, count):
        mask = np.abs(np.asarray(image, dtype=float) - 255 * float(grey)) < 1
        left, top = (int(np.flatnonzero(mask.sum(axis) > 40)[0]) for axis in (0, 1))  # letters have fewer
        found.append((left, top))
    return found


def test_a_row_of_five_pictures_becomes_three_and_two():
    figure = figures.panel(*pictures(5), titles=["a", "b", "c", "d", "e"])
    image = drawn(figure)
    assert abs(image.width - narrow.DPI * narrow.NARROW) < 40
    a, b, c, d, e = places(image, 5)
    assert a[1] == b[1] == c[1] < d[1] == e[1]
    assert a[0] == d[0] < b[0] == e[0] < c[0]


def test_every_row_of_a_table_of_pictures_wraps_by_itself_and_repeats_the_titles():
    figure = figures.panel(*pictures(4, rows=2), titles=["a", "b", "c", "d"], rows=["one", "two"])
    tops = [top for _, top in places(drawn(figure), 8)]
    assert tops[0] == tops[1] < tops[2] == tops[3] < tops[4] == tops[5] < tops[6] == tops[7]
    assert [ax.get_title() for ax in figure.axes] == ["a", "b", "c", "d", *[""] * 4]  # the figure is as it was
    assert figure.get_figwidth() > narrow.NARROW and plt.get_fignums() == []


def test_seven_pictures_stand_in_two_lines_on_a_desk_and_in_three_on_a_phone():
    figure = figures.panel(*pictures(7), titles=list("abcdefg"))
    assert [ax.get_title() for ax in figure.axes] == list("abcdefg")
    rows = [ax.get_subplotspec().rowspan.start for ax in figure.axes]
    assert rows == [0, 0, 0, 0, 1, 1, 1]
    tops = [top for _, top in places(drawn(figure), 7)]
    assert len(set(tops)) == 3 and tops == sorted(tops)


def test_charts_stand_below_each_other_and_all_have_their_numbers():
    with plt.style.context(figures.STYLE):
        figure, axes = plt.subplots(1, 2, figsize=(7.2, 2.5), sharey=True, layout="constrained")
        for ax, colour in zip(axes, ("#000000", "#000001"), strict=True):
            ax.plot([0, 1], [0, 1], color=colour)
        plt.close(figure)
    size = figure.get_size_inches().copy()
    image = drawn(figure)
    assert image.height > 1.1 * image.width  # side by side they would be flat
    assert (figure.get_size_inches() == size).all()
    assert [ax.get_subplotspec().colspan.start for ax in figure.axes] == [0, 1]


def test_a_legend_that_would_lie_on_the_lines_stands_below_in_two_columns():
    """`set_ncols` of a finished legend changes nothing: four columns made the whole drawing wider and so smaller."""
    lines = {"above": [1.0, 1.0], "below": [0.0, 0.0], "up": [0.0, 1.0], "down": [1.0, 0.0]}
    for place in ("center", "outside lower center"):
        with plt.style.context(figures.STYLE):
            figure, ax = plt.subplots(figsize=(7, 2.5), layout="constrained")
            for name, values in lines.items():
                ax.plot([0, 1], values, label=name)
            figure.legend(loc=place, ncols=4) if "outside" in place else ax.legend(loc=place)
            plt.close(figure)
        copy = narrow.copied(figure)
        (legend,) = copy.legends
        assert [text.get_text() for text in legend.get_texts()] == list(lines) and legend._ncols == 2
        assert not legend.get_frame_on()  # as in the book's style
        assert copy.axes[0].get_legend() is None and copy.get_figheight() > 2.7
        assert abs(drawn(figure).width - narrow.DPI * narrow.NARROW) < 40


def test_a_legend_that_covers_nothing_stays_where_it_is():
    figure = charts.lines([0, 1], {"a": [1, 1], "b": [0.9, 0.9]}, xlabel="x", ylabel="y", size=(7, 2.5))
    figure.axes[0].set_ylim(0, 4)
    figure.axes[0].legend(loc="upper center")
    copy = narrow.copied(figure)
    assert not copy.legends and copy.axes[0].get_legend()


def test_a_legend_is_judged_where_the_narrow_chart_puts_it():
    """`canvas.draw` of an unpickled figure draws nothing, so that the best place was that of no layout at all."""
    x = [i / 2 for i in range(1, 17)]
    teeth = [60, 85, 60, 110] * 4
    series = {"T": teeth, "crude": [32.0] * 7 + [110.0] + [32.0] * 7 + [110.0], "R": [value - 4 for value in teeth]}
    copy = narrow.copied(charts.lines(x, series, xlabel="shift", ylabel="PSNR"))
    assert len(copy.legends) == 1 and copy.axes[0].get_legend() is None


def test_a_drawing_with_one_scale_becomes_lower_as_it_becomes_narrower():
    with plt.style.context(figures.STYLE):
        figure, ax = plt.subplots(figsize=(5, 4.6), layout="constrained")
        ax.plot([0, 2], [0, 1.5], label="a line")
        ax.set_aspect("equal")
        figure.legend(loc="outside lower center", ncols=2)
        plt.close(figure)
    image = drawn(figure)
    rows = np.flatnonzero((np.asarray(image) < 200).any(1))
    assert np.diff(rows).max() < 0.35 * narrow.DPI  # no white gap between the drawing and its legend


def test_the_name_of_a_setting_stands_below_its_method():
    titles = ["classical@tuned", "a", "b", "c", "d"]
    copy = narrow.copied(figures.panel(*pictures(5), titles=titles))
    assert copy.axes[0].get_title() == "classical@\ntuned"


def test_a_figure_that_is_narrow_already_is_left_alone():
    assert narrow.narrowed(figures.panel(*pictures(2))) is None
    assert narrow.narrowed(charts.lines([0, 1], {"a": [1, 2]}, xlabel="x", ylabel="y", size=(3.5, 2))) is None


@pytest.mark.slow
def test_a_notebook_of_the_book_gets_both_pictures():
    """In a process of its own: the book's build sets RUSR_STATIC, and IPython formats what a cell returns."""
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "shell = Shell.instance()\n"
        "from IPython.core.pylabtools import select_figure_formats as formats\nformats(shell, {'png'})\n"
        "import torch\nfrom rusr_core import figures\n"
        "figure = figures.panel(*torch.zeros(5, 1, 3, 8, 8))\n"
        "data, _ = shell.display_formatter.format(figure)\n"
        "print(sorted(data)); print(data['application/x-rusr-narrow-png'][:8])"
    )
    words = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, env={"RUSR_STATIC": "1", "PATH": ""}, cwd=".")
    assert done.returncode == 0, done.stderr
    kinds, head = done.stdout.splitlines()[-2:]
    assert kinds == "['application/x-rusr-narrow-png', 'image/png', 'text/plain']"
    assert base64.b64decode(head)[:4] == b"\x89PNG"


def test_the_book_names_the_narrow_picture_beside_the_wide_one(tmp_path):
    import hashlib

    import nbformat

    phone = script("phone")
    wide, small = b"the wide one", b"the narrow one"
    data = {"image/png": base64.b64encode(wide).decode(), narrow.MIME: base64.b64encode(small).decode()}
    cell = nbformat.v4.new_code_cell("figure", outputs=[nbformat.v4.new_output("display_data", data)])
    for folder in ("jupyter_execute/book", "html/book", "html/_images"):
        (tmp_path / folder).mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "jupyter_execute/book/a.ipynb")
    name = hashlib.sha256(wide).hexdigest()
    image = f'<img alt="A chart." src="../_images/{name}.png" />'
    page = tmp_path / "html/book/a.html"
    page.write_text(f"<p>{image}</p>")
    assert phone.main(tmp_path) == 1
    source = f'<source media="(max-width: 600px)" srcset="../_images/{name}-narrow.png 2x">'
    wide_image = image.replace("<img", f'<img srcset="../_images/{name}.png 1x"')  # else Chromium may keep the 2x
    assert page.read_text() == f"<p><picture>{source}{wide_image}</picture></p>"
    assert (tmp_path / f"html/_images/{name}-narrow.png").read_bytes() == small
    assert phone.main(tmp_path) == 0 and page.read_text().count("<picture>") == 1  # a second time changes nothing
    page.write_text("<p>another page</p>")
    with pytest.raises(ValueError, match=f"without the picture {name}.png"):
        phone.main(tmp_path)
