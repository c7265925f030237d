"""Figures hold the pixels they were given; interactive ones are complete without a server and labelled."""

import base64
import io
import json
import re
from html import unescape
from html.parser import HTMLParser
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from rusr_core import figures
from rusr_core.figures import FigureError, charts, panels
from rusr_core.results import Restoration


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


class Elements(HTMLParser):
    """Start tags with their attributes; fails on tags that are not closed."""

    def __init__(self, text: str):
        super().__init__()
        self.found, self.depth = [], 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self.depth += tag not in ("img", "input")

    def handle_endtag(self, tag):
        self.depth -= 1

    def __getitem__(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def decode(source: str) -> Image.Image:
    head, data = source.split(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_panel_draws_the_pixels_of_every_resolution():
    small, large = noise(2, 3, 4, 4), noise(2, 3, 16, 16)
    figure = figures.panel(small, large, titles=["input", "truth"], rows=["first", "second"])
    assert len(figure.axes) == 4
    drawn = figure.axes[2].images[0].get_array()
    assert np.array_equal(drawn, (small[1] * 255).round().byte().permute(1, 2, 0).numpy())
    assert [ax.get_title() for ax in figure.axes[:2]] == ["input", "truth"]
    assert figure.axes[2].get_ylabel() == "second"
    assert plt.get_fignums() == []  # nothing left open, nothing shown twice


@pytest.mark.parametrize(
    "images, options, words",
    [
        ([], {}, "equally many"),
        ([noise(1, 3, 4, 4), noise(2, 3, 4, 4)], {}, r"\[1, 2\]"),
        ([noise(1, 3, 4, 4)], {"titles": ["a", "b"]}, "2 titles for 1 columns"),
        ([noise(1, 3, 4, 4)], {"rows": []}, "0 rows for 1 rows"),
        ([noise(1, 1, 4, 4)], {}, r"got \[1, 1, 4, 4\]"),
    ],
)
def test_panel_refuses_what_does_not_fit(images, options, words):
    with pytest.raises(FigureError, match=words):
        figures.panel(*images, **options)


def test_several_answers_stand_in_a_row_with_their_maps():
    answers = noise(6, 3, 8, 8).unflatten(0, (2, 3))
    spread, invented = noise(2, 1, 8, 8), torch.linspace(0, 1, 128).view(2, 1, 8, 8)
    result = SimpleNamespace(answers=answers, mean=answers.mean(1), spread=spread, invented=invented)
    figure = figures.answers(noise(2, 3, 4, 4), result)
    titles = [ax.get_title() for ax in figure.axes[:7]]
    assert titles == ["input", "answer 1", "answer 2", "answer 3", "mean", f"spread, to {spread.max():.2f}", "invented"]
    drawn = figure.axes[7 + 2].images[0].get_array()
    assert np.array_equal(drawn, (answers[1, 1] * 255).round().byte().permute(1, 2, 0).numpy())
    brightness = [axes.images[0].get_array().mean() for axes in (figure.axes[6], figure.axes[13])]
    assert brightness[0] < brightness[1]  # the first picture's answers are the decided ones
    drawn = Restoration(answers[:, 0], 1.0, [1, 1], 0, "ddrm", drawn=answers)
    assert [ax.get_title() for ax in figures.answers(noise(2, 3, 4, 4), drawn).axes[:6]][4] == "mean"
    assert len(figures.answers(noise(2, 3, 4, 4), drawn).axes) == 12, "no map of what was invented"
    with pytest.raises(FigureError, match="1 inputs for answers to 2"):
        figures.answers(noise(1, 3, 4, 4), result)


def test_a_white_edge_gets_a_frame():
    """A mask would vanish into the page; a picture with edges of its own needs no frame."""
    white, grey = figures.panel(torch.ones(1, 3, 8, 8), torch.full((1, 3, 8, 8), 0.5)).axes
    assert all(spine.get_visible() for spine in white.spines.values())
    assert not any(spine.get_visible() for spine in grey.spines.values())


def test_show_leaves_no_figure_open(monkeypatch):
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.append(plt.get_fignums()))
    figures.show(noise(1, 3, 4, 4), titles=["a"])
    assert shown == [[1]] and plt.get_fignums() == []


def test_style_is_used_and_not_left_behind():
    before = plt.rcParams["axes.spines.top"]
    figures.panel(noise(1, 3, 4, 4))
    assert plt.rcParams["axes.spines.top"] == before
    with plt.style.context(figures.STYLE):
        assert not plt.rcParams["axes.spines.top"]


def test_loss_curves_mark_the_phases():
    nan = float("nan")
    history = {"total": torch.tensor([[3.0, 9.0], [2.0, 9.0], [nan, 9.0]])}
    phases = [SimpleNamespace(space=s, history=history) for s in ("W", "W+")]
    ax = figures.loss_curves(SimpleNamespace(phases=phases, image=torch.zeros(2, 3, 8, 8))).axes[0]
    curves = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == 3]
    assert [list(c.get_xdata()) for c in curves] == [[0, 1], [2, 3]]
    assert [t.get_text() for t in ax.texts] == ["W", "W+"] and ax.get_yscale() == "log"
    with pytest.raises(FigureError, match="'lpips' was recorded; expected one of total"):
        figures.loss_curves(SimpleNamespace(phases=phases, image=torch.zeros(2, 3, 8, 8)), term="lpips")


def test_compare_is_self_contained_and_labelled():
    html = figures.compare(noise(1, 3, 8, 8), noise(1, 3, 32, 32), labels=("in <8 px>", "out"), alt='a "face"')
    elements = Elements(html)
    assert elements.depth == 0 and not re.search(r"https?:|<script|<link", html)
    assert [decode(image["src"]).size for image in elements["img"]] == [(32, 32), (32, 32)]
    assert all('a "face"' in image["alt"] for image in elements["img"])
    (slider,) = elements["input"]
    assert slider["type"] == "range" and "in <8 px>" in slider["aria-label"] and "--cut" in slider["oninput"]
    assert html._repr_html_() == html
    assert html == figures.compare(noise(1, 3, 8, 8), noise(1, 3, 32, 32), labels=("in <8 px>", "out"), alt='a "face"')


def test_timeline_holds_every_frame_in_order():
    frames = [torch.full((1, 3, 16, 16), value) for value in (0.0, 0.5, 1.0)]
    html = figures.timeline(frames, ["start", "middle", "end"], alt="a search")
    elements = Elements(html)
    assert elements.depth == 0 and not re.search(r"https?:|<script|<link", html)
    strip = np.asarray(decode(elements["img"][0]["src"]).convert("L"))
    assert [strip[8].mean().round(), strip[24].mean().round(), strip[40].mean().round()] == [0, 128, 255]
    (slider,) = elements["input"]
    assert (slider["min"], slider["max"], slider["value"], slider["aria-valuetext"]) == ("0", "2", "0", "start")
    assert elements["div"][0]["data-labels"] == "start|middle|end"


def test_a_table_holds_every_cell_and_escapes_text():
    html = figures.table({"a<b": (1.25, "x & y"), "second": (7, figures.Html("<em>z</em>"))}, ("name", "n", "text"))
    assert html.count("<tr>") == 3 and html.count("<td") == 4 and html.count('<th scope="col"') == 3
    assert '<th scope="row">a&lt;b</th><td class="number" data-column="n">1.25</td>' in html
    assert '<td data-column="text">x &amp; y</td>' in html and "<em>z</em></td>" in html
    assert '<td class="number" data-column="n">7</td>' in html
    assert figures.table([("a", 0.5)], ("x", "y"), digits=3).count("0.500") == 1
    assert "strokes:17,<wbr>seed=0" in figures.table([("strokes:17,seed=0", 1)], ("f", "n"))
    assert "W-\u2060W+ and W+-\u2060W++, pre-Walk" in figures.table([("W-W+ and W+-W++, pre-Walk", 1)], ("f", "n"))
    assert '<th scope="col" class="number">n</th>' in figures.table([("a", 1), ("b", 2.5)], ("f", "n"))
    with pytest.raises(figures.FigureError, match="has 1 cells, expected 2: x, y"):
        figures.table([("a",)], ("x", "y"))


def test_columns_of_a_table_have_their_own_decimals_and_alignment():
    html = figures.table(
        {"a": (1.25, 26.0, "12.5 %"), "b": (None, "-", "-3 dB")}, ("", "x", "y", "z"), digits=(0, 2, 1, 0)
    )
    assert html.count('class="number"') == 9  # three heads and six cells, the empty one included
    cells = (
        'data-column="x">1.25<',
        'data-column="y">26.0<',
        'data-column="z">12.5\u00a0%<',
        '<td class="number"></td>',
    )
    assert all(cell in html for cell in cells)
    assert 'class="rusr-table rusr-slim"' in html  # a phone has room for it
    wide = figures.table([["words " * 8, 1.0]], ("two", "columns"))
    many = figures.table([[1.5] * 9], [f"x {i}" for i in range(9)])
    assert 'class="rusr-table"' in wide and 'class="rusr-table rusr-wide"' in many
    assert ">+4\u00a0% [-2,\u00a0+12], a<" in figures.table([("+4 % [-2, +12], a",)], ("x",))  # one line each
    for words in ("1 of 4", "10/10", "+36\u00a0%\u00a0+", "-0.020\u00a0="):
        assert f'<td class="number" data-column="n">{words}<' in figures.table([("a", words)], ("f", "n"))
    mixed = figures.table([("a", 1), ("b", "XS")], ("f", "n"))
    assert "number" not in mixed  # a column stands on one side
    assert ">0.00<" in figures.table([(-0.001,)], ("x",)) and ">-0.01<" in figures.table([(-0.01,)], ("x",))
    for digits, words in (((2,), "has 1 entries, expected 2: x, y"), ((1, -1), "digits is -1")):
        with pytest.raises(figures.FigureError, match=words):
            figures.table([("a", 0.5)], ("x", "y"), digits=digits)


def test_frames_keep_some_pictures_of_one_image():
    frames = figures.Frames(2, image=1, view=lambda x: x * 2)
    for phase in ("W", "W+"):
        for i in range(4):
            frames(SimpleNamespace(phase=phase, step=i, image=lambda i=i: torch.full((3, 3, 8, 8), 0.1 * i)))
    assert frames.labels == ["W, step 0", "W, step 2", "W+, step 0", "W+, step 2"]
    assert [tuple(x.shape) for x in frames.images] == [(1, 3, 8, 8)] * 4
    assert frames.images[1].max().item() == pytest.approx(0.4)
    assert figures.Frames().images == []  # lists are not shared


def test_interactives_refuse_what_does_not_fit():
    with pytest.raises(FigureError, match="different shape"):
        figures.compare(noise(1, 3, 8, 8), noise(1, 3, 8, 16), alt="a")
    with pytest.raises(FigureError, match="got 2 and 1"):
        figures.compare(noise(2, 3, 8, 8), noise(1, 3, 8, 8), alt="a")
    with pytest.raises(FigureError, match="1 frames and 0 labels"):
        figures.timeline([noise(1, 3, 8, 8)], [], alt="a")


def test_explorer_is_a_sentence_on_static_pages(monkeypatch):
    monkeypatch.setenv("RUSR_STATIC", "1")
    assert "Jupyter" in figures.explorer(None, noise(1, 3, 8, 8))


@pytest.mark.parametrize("steps, most", [(1, 150), (30, 150), (450, 450)])
def test_explorer_begins_at_the_steps_of_its_chapter(steps, most):
    """Whatever they are: a chapter that has computed everything must not end there."""
    slider = next(
        child for child in figures.explorer(None, noise(1, 3, 8, 8), steps=steps).children if hasattr(child, "max")
    )
    assert (slider.min, slider.value, slider.max) == (1, steps, most)


def test_a_live_figure_shows_what_was_recorded_and_says_what_to_run():
    recorded = figures.compare(noise(1, 3, 8, 8), noise(1, 3, 8, 8), alt="a portrait & its damage")
    html = figures.live(recorded, task="paint", spaces=["W", "W+"])
    assert recorded in html and isinstance(html, figures.Html)
    options = json.loads(unescape(re.search(r'data-live="([^"]*)"', html)[1]))
    assert options == {"kind": "restore", "task": "paint", "spaces": ["W", "W+"]}
    with pytest.raises(FigureError, match="'dance': expected 'restore' or 'walk'"):
        figures.live(recorded, kind="dance")
    with pytest.raises(FigureError, match="'task' of a live walk: expected seed, mix"):
        figures.live(recorded, kind="walk", task="paint")


def test_a_chart_over_words_keeps_them():
    levels = charts.lines(["XS", "S"], {"a": [1.0, 2.0]}, xlabel="level", ylabel="y").axes[0]
    assert [label.get_text() for label in levels.get_xticklabels()] == ["XS", "S"]


@pytest.mark.parametrize(
    "ends, expected",
    [
        ((0.93, 1.12), ["0.95", "1", "1.05", "1.1"]),
        ((0.75, 1.45), ["0.8", "0.9", "1", "1.1", "1.2", "1.3", "1.4"]),
        ((0.6, 2.5), ["0.7", "1", "1.5", "2"]),
        ((0.65, 5.6), ["0.7", "1", "1.5", "2", "3", "5"]),
        ((0.04, 9), ["0.05", "0.1", "0.2", "0.5", "1", "2", "5"]),
        ((0.002, 50), ["0.01", "0.1", "1", "10"]),
    ],
)
def test_a_logarithmic_axis_has_numbers_whatever_its_length(ends, expected):
    figure, ax = plt.subplots()
    ax.plot(ends, [0, 1])
    panels.logarithmic(ax, "x")
    ax.set_xlim(*ends)
    panels.plain_numbers(ax.xaxis)
    figure.canvas.draw()
    inside = zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)
    assert [label.get_text() for at, label in inside if ends[0] <= at <= ends[1]] == expected
    plt.close(figure)


def test_a_link_to_a_chapter_is_its_title():
    assert figures.chapter_link("phases")._repr_html_() == '<a href="phases.html">Three phases</a>'
    for name in ("phase", None, ["phases"]):
        with pytest.raises(figures.FigureError, match="chapter .*: expected one of start, measures"):
            figures.chapter_link(name)
