"""The performance report: what a restoration is worth, as text, Markdown, CSV, LaTeX, and a table in a notebook.

The form is the report's: task, then accuracy, realism and fidelity, with an arrow for lower is better, between
rules of dashes. Values carry a 95 % bootstrap interval over the images. What was not measured says so.
"""

import csv
import html
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rusr_core.degradations.base import Operator
from rusr_core.errors import RusrError
from rusr_core.metrics import intervals
from rusr_core.metrics.judges import METRICS, Judge, image_scores, label, portraits_judge, set_scores

MAIN = ("lpips", "fid", "fidelity")  # the report's three lines
RULE = 72
ARROWS = {True: "↓", False: "↑"}
NOT_MEASURED = "not measured"
LATEX = {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#"}


class ReportError(RusrError):
    """Nothing to report."""


@dataclass(frozen=True)
class Score:
    """One number and its interval; nan where there is none."""

    key: str  # of evaluation.METRICS
    value: float
    low: float = math.nan
    high: float = math.nan

    def __str__(self) -> str:
        if math.isnan(self.value):
            return NOT_MEASURED
        digits = _digits(abs(self.value))
        text = f"{self.value:.{digits}f}"
        return text if math.isnan(self.low) else f"{text} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


def _digits(size: float) -> int:
    """Decimals that show a number of this size."""
    if size >= 1:
        return 2 if size >= 10 else 3
    return 4 if size >= 0.001 or size == 0 else min(3 - math.floor(math.log10(size)), 12)


@dataclass(frozen=True)
class Report:
    """The scores of one method on one task."""

    task: str  # "upsampling L"
    method: str
    suffix: str  # of the judge, see `evaluation.Judge`
    images: int
    scores: dict[str, Score]  # by the keys of evaluation.METRICS
    notes: tuple[str, ...] = ()  # ORACLE, images that failed

    def __str__(self) -> str:
        """The report as text; `print` it."""
        rule = "-" * RULE
        name, _, level = self.task.partition(" ")
        title = f"{name} ({level})" if level else name
        lines = [rule, f"PERFORMANCE REPORT FOR TASK: {title}", rule, *map(self._line, MAIN), rule]
        lines += [self._line(key) for key in METRICS if key not in MAIN and key in self.scores]
        number = "1 image" if self.images == 1 else f"{self.images} images; 95 % bootstrap intervals over images"
        lines.append(f"{self.method}; {number}")
        return "\n".join([*lines, *self.notes, rule])

    def score(self, key: str) -> Score:
        """A score, not a number if it was not measured."""
        return self.scores.get(key, Score(key, math.nan))

    def to_markdown(self) -> str:
        """A Markdown table, one row a score."""
        return _markdown(["question", "metric", "score"], self._cells()) + "".join(f"\n{n}\n" for n in self.notes)

    def to_latex(self) -> str:
        """A LaTeX tabular (no packages needed), one row a score."""
        return _latex(["question", "metric", "score"], self._cells())

    def to_csv(self) -> str:
        """Tidy CSV: one row a score, with its interval."""
        return Table((self,)).to_csv()

    def _repr_html_(self) -> str:
        caption = f"{self.task}: {self.method}, {self.images} images"
        return _html(caption, ["question", "metric", "score"], self._cells(), self.notes)

    def _line(self, key: str) -> str:
        metric = METRICS[key]
        name = label(key, self.suffix)
        return f"{metric.question.capitalize():9} {name:27} {ARROWS[metric.lower_is_better]}  {self.score(key)}"

    def _cells(self) -> list[list[str]]:
        keys = [*MAIN, *(key for key in METRICS if key not in MAIN and key in self.scores)]
        return [[METRICS[key].question, _header(key, self.suffix), str(self.score(key))] for key in keys]


@dataclass(frozen=True)
class Table:
    """Many reports: a row a task and method."""

    reports: tuple[Report, ...]

    def __str__(self) -> str:
        """All reports as text, one below the other."""
        return "\n\n".join(map(str, self.reports))

    def to_markdown(self) -> str:
        """A Markdown table, a row a task and method."""
        return _markdown(*self._grid())

    def to_latex(self) -> str:
        """A LaTeX tabular, a row a task and method."""
        return _latex(*self._grid())

    def to_csv(self) -> str:
        """Tidy CSV: task, method, images, question, metric, value, low, high, lower_is_better, notes."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow("task method images question metric value low high lower_is_better notes".split())
        for report in self.reports:
            for key in METRICS:
                if key in report.scores:
                    score, metric = report.scores[key], METRICS[key]
                    named = [report.task, report.method, report.images, metric.question, label(key, report.suffix)]
                    numbers = [score.value, score.low, score.high, metric.lower_is_better]
                    writer.writerow([*named, *numbers, "; ".join(report.notes)])
        return file.getvalue()

    def _repr_html_(self) -> str:
        return _html("", *self._grid())

    def _grid(self) -> tuple[list[str], list[list[str]]]:
        keys = [key for key in METRICS if any(key in report.scores for report in self.reports)]
        if not keys:
            raise ReportError("no reports: expected at least one with a score")
        suffixes = {report.suffix for report in self.reports}
        if len(suffixes) > 1:
            raise ReportError("scores of different judges cannot share a table: make one table of each profile")
        suffix = suffixes.pop()
        header = ["task", "method", "images"]
        header += [f"{METRICS[key].question}, {_header(key, suffix)}" for key in keys]
        rows = []
        for report in self.reports:
            method = report.method + "".join(f" ({note})" for note in report.notes)
            rows.append([report.task, method, str(report.images), *(str(report.score(key)) for key in keys)])
        return header, rows


def report(
    task: object,
    restored: Tensor,
    truth: Tensor,
    y: Tensor,
    f: Operator,
    *,
    method: str = "restoration",
    judge: Judge | None = None,
    generator: torch.Generator | None = None,
    rounds: int = 100,
) -> Report:
    """Evaluate restorations [N, 3, R, R] of y against the truth, all in [0, 1]; f made y with `generator`.

    A generator that has already made y has moved on: hand over a freshly seeded one. One image has no realism.
    """
    judge = judge or portraits_judge()
    values = image_scores(restored, truth, y, f, generator, judge)
    return summarize(str(task), method, judge.suffix, values, set_scores(restored, truth, judge, rounds=rounds))


def summarize(
    task: str,
    method: str,
    suffix: str,
    values: dict[str, Tensor],
    realism: dict[str, tuple[float, float, float]],
    notes: Sequence[str] = (),
) -> Report:
    """A report from one value an image [N] of each key, and the realism of the set (`evaluation.set_scores`)."""
    if not values:
        raise ReportError(f"{task}, {method}: no image was scored")
    scores = {key: Score(key, *intervals.mean_interval(torch.as_tensor(v))) for key, v in values.items()}
    scores |= {key: Score(key, *numbers) for key, numbers in realism.items()}
    return Report(task, method, suffix, len(next(iter(values.values()))), scores, tuple(notes))


def _header(key: str, suffix: str) -> str:
    return f"{label(key, suffix)} {ARROWS[METRICS[key].lower_is_better]}"


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)


def _latex(header: list[str], rows: list[list[str]]) -> str:
    def line(cells: list[str]) -> str:
        return " & ".join("".join(LATEX.get(c, c) for c in cell) for cell in cells) + r" \\"

    body = [line(header), r"\hline", *map(line, rows)]
    return "\n".join([rf"\begin{{tabular}}{{{'l' * len(header)}}}", *body, r"\end{tabular}", ""])


def _html(caption: str, header: list[str], rows: list[list[str]], notes: Sequence[str] = ()) -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    top = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    body = "".join(line(row, "td") for row in rows)
    below = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    # the class of pandas' tables, which book themes know in light and dark
    return f'<table class="dataframe">{top}<thead>{line(header, "th")}</thead><tbody>{body}</tbody></table>{below}'
