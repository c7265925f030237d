"""The performance report: what a restoration is worth, as text, Markdown, CSV, LaTeX, and a table in a notebook.

The form is the report's: task, then accuracy, realism and fidelity, with an arrow for lower is better, between
rules of dashes. Means and KID carry a 95 % interval over the images, "0.12 [0.10, 0.15]". Frechet distances carry their
spread over the images, "0.05 ± 0.01", which is no interval; every form says which is which. It also says
what was not measured.
"""

import csv
import html
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rusr_core.degradations.base import Operator
from rusr_core.errors import RusrError
from rusr_core.limits import shown
from rusr_core.metrics import intervals
from rusr_core.metrics.judges import METRICS, Judge, Score, image_scores, label, portraits_judge, set_scores
from rusr_core.networks.digests import SHOWN
from rusr_core.tasks import LEVELS

MAIN = ("lpips", "fid", "fidelity")  # the report's three lines
RULE = 72
NONE = "n/a"  # of a method that cannot do a task
COLUMNS = "task method images seeds question metric value low high spread lower_is_better notes".split()
ARROWS = {True: "↓", False: "↑"}
INTERVAL = "[low, high]: 95 % interval over images (Student)"
SPREAD = "±: spread over images (jackknife resampling), not an interval; FID and pFID of few images are too large"
LATEX = {"↓": r"$\downarrow$", "↑": r"$\uparrow$", "±": r"$\pm$", "|": "$|$", "<": "$<$", ">": "$>$"}
LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
LATEX |= {letter: f"\\{letter}" for letter in "_%&#${}"}


class ReportError(RusrError):
    """Nothing to report."""


def legend(scores: Iterable[Score]) -> list[str]:
    """What the brackets and the ± of these scores mean, a line each."""
    scores = list(scores)
    lines = [INTERVAL] if any(not math.isnan(score.low) for score in scores) else []
    return lines + [SPREAD] * any(not math.isnan(score.spread) for score in scores)


@dataclass(frozen=True)
class Report:
    """The scores of one method on one task."""

    task: str  # "upsampling L"
    method: str
    suffix: str  # of the judge, see `judges.Judge`
    images: int
    scores: dict[str, Score]  # by the keys of `judges.METRICS`
    notes: tuple[str, ...] = ()  # ORACLE, what was left out
    seeds: int = 1  # restorations of each image, whose scores are averaged
    applicable: bool = True  # False: the method cannot do the task, and the note says why
    weights: Mapping[str, str] = field(default_factory=dict)  # see `judges.Judge`; empty: nobody knows who judged

    def __str__(self) -> str:
        """The report as text; `print` it."""
        rule = "-" * RULE
        name, _, level = self.task.rpartition(" ")
        title = f"{name} ({level})" if level in LEVELS else self.task  # of one's own, the notation as it is
        head = [rule, f"PERFORMANCE REPORT FOR TASK: {title}", rule]
        if not self.applicable:
            return "\n".join([*head, f"{self.method}: {'; '.join(self.notes)}", rule])
        lines = [*head, *map(self._line, MAIN), rule]
        lines += [self._line(key) for key in METRICS if key not in MAIN and key in self.scores]
        lines += [f"{self.method}; {self._number()}", *legend(self.scores.values()), *self.notes, rule]
        return "\n".join(lines)

    def _number(self) -> str:
        number = "1 image" if self.images == 1 else f"{self.images} images"
        return number if self.seeds == 1 else f"{number}, {self.seeds} seeds each"

    def score(self, key: str) -> Score:
        """A score, not a number if it was not measured. ReportError for a key that is none."""
        if key not in METRICS:
            raise ReportError(f"score {shown(key)}: expected one of {', '.join(METRICS)}")
        return self.scores.get(key, Score(key, math.nan))

    def to_markdown(self) -> str:
        """A Markdown table, one row a score."""
        return markdown(self._header(), self._cells(), self._below())

    def to_latex(self) -> str:
        """A LaTeX tabular (no packages needed), one row a score."""
        return latex(self._header(), self._cells(), self._below())

    def to_csv(self) -> str:
        """Tidy CSV: one row a score, with its interval or its spread."""
        return Table((self,)).to_csv()

    def _repr_html_(self) -> str:
        return _html(f"{self.task}: {self.method}, {self._number()}", self._header(), self._cells(), self._below())

    @staticmethod
    def _header() -> list[str]:
        return ["question", "metric", "score"]

    def _below(self) -> list[str]:
        return [*legend(self.scores.values()), *self.notes]

    def _line(self, key: str) -> str:
        metric = METRICS[key]
        name = label(key, self.suffix)
        return f"{metric.question.capitalize():9} {name:27} {ARROWS[metric.lower_is_better]}  {self.score(key)}"

    def _cells(self) -> list[list[str]]:
        keys = [*MAIN, *(key for key in METRICS if key not in MAIN and key in self.scores)]
        return [[METRICS[key].question, _column(key, self.suffix), str(self.score(key))] for key in keys]


@dataclass(frozen=True)
class Table:
    """Many reports: a row a task and method. ReportError where judges of one name have other weights."""

    reports: tuple[Report, ...]

    def __post_init__(self) -> None:
        first: dict[tuple[str, str], Report] = {}
        for report in self.reports:
            for role, digest in report.weights.items():
                other = first.setdefault((report.suffix, role), report)
                if (known := other.weights[role]) != digest:
                    pair = " and ".join(f"{each.method} on {each.task}" for each in (other, report))
                    told = f"{role} nets of the weights {known[:SHOWN]} and {digest[:SHOWN]}"
                    raise ReportError(f"{pair} were judged by {told}: expected one judge for a table")

    def __str__(self) -> str:
        """All reports as text, one below the other."""
        return "\n\n".join(map(str, self.reports))

    def to_markdown(self) -> str:
        """A Markdown table, a row a task and method."""
        return markdown(*self._grid(), self._below())

    def to_latex(self) -> str:
        """A LaTeX tabular, a row a task and method."""
        return latex(*self._grid(), self._below())

    def to_csv(self) -> str:
        """Tidy CSV, a row a task, method and score: the columns `COLUMNS`. Fields without a value are empty.

        A method that cannot do a task has one row, without a metric, whose note begins with "n/a".
        """
        file = io.StringIO()
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for report in self.reports:
            if not report.applicable:
                writer.writerow({"task": report.task, "method": report.method, "notes": "; ".join(report.notes)})
            about = {"task": report.task, "method": report.method, "images": report.images, "seeds": report.seeds}
            for key in METRICS:
                if key in report.scores:
                    score, metric = report.scores[key], METRICS[key]
                    numbers = {name: getattr(score, name) for name in ("value", "low", "high", "spread")}
                    row = {name: "" if math.isnan(number) else number for name, number in numbers.items()}
                    row |= {"question": metric.question, "metric": label(key, report.suffix)}
                    row |= {"lower_is_better": metric.lower_is_better, "notes": "; ".join(report.notes)}
                    writer.writerow(about | row)
        return file.getvalue()

    def _repr_html_(self) -> str:
        header, rows = self._grid()
        if len(rows) < len(header):  # what is longer runs down the page, and a column names its task and method
            named = [[", ".join(row[:2]), *row[2:]] for row in (header, *rows)]
            header, *rows = map(list, zip(*named, strict=True))
        return _html("", header, rows, self._below())

    def _below(self) -> list[str]:
        return legend(score for report in self.reports for score in report.scores.values())

    def _grid(self) -> tuple[list[str], list[list[str]]]:
        keys = [key for key in METRICS if any(key in report.scores for report in self.reports)]
        if not keys:
            raise ReportError("no reports: expected at least one with a score")
        suffixes = {report.suffix for report in self.reports}
        if len(suffixes) > 1:
            raise ReportError("scores of different judges cannot share a table: make one table of each profile")
        suffix = suffixes.pop()
        header = ["task", "method", "images"]
        header += [f"{METRICS[key].question}, {_column(key, suffix)}" for key in keys]
        rows = []
        for report in self.reports:
            method = report.method + "".join(f" ({note})" for note in report.notes)
            images = str(report.images) if report.seeds == 1 else f"{report.images} x {report.seeds} seeds"
            cells = [str(report.score(key)) if report.applicable else NONE for key in keys]
            rows.append([report.task, method, images if report.applicable else NONE, *cells])
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
    rounds: int = intervals.ROUNDS,
) -> Report:
    """Evaluate restorations [N, 3, R, R] of y against the truth, all in [0, 1]; f made y with `generator`.

    `rounds`: how often images are left out to find the spread of the Frechet distances, see `intervals.spread`.
    A generator that has already made y has moved on: hand over a freshly seeded one. One image has no realism.
    """
    judge = judge or portraits_judge()
    values = image_scores(restored, truth, y, f, generator, judge)
    sets = set_scores(restored, truth, judge, rounds=rounds)
    return summarize(str(task), method, judge.suffix, values, sets, weights=judge.weights)


def summarize(
    task: str,
    method: str,
    suffix: str,
    values: dict[str, Tensor],
    realism: dict[str, Score],
    notes: Sequence[str] = (),
    seeds: int = 1,
    weights: Mapping[str, str] | None = None,
) -> Report:
    """A report from one value an image [N] of each key, and the realism of the set (`judges.set_scores`).

    Images that equal their truth have an infinite PSNR. The mean leaves them out, and a note counts them.
    """
    if not values:
        raise ReportError(f"{task}, {method}: no image was scored")
    scores, notes = {}, list(notes)
    for key, given in values.items():
        given = torch.as_tensor(given, dtype=torch.float64)
        equal = given.isposinf()
        if equal.any():
            images = f"{int(equal.sum())} of {len(given)} images equal the truth"
            notes.append(f"{label(key, suffix)}: {images}; the mean is that of the others")
        scores[key] = Score(key, math.inf) if equal.all() else Score(key, *intervals.mean_interval(given[~equal]))
    images = len(next(iter(values.values())))
    return Report(task, method, suffix, images, scores | realism, tuple(notes), seeds, weights=weights or {})


def summarize_none(task: str, method: str, suffix: str, reason: str) -> Report:
    """The report of a method that cannot do a task, with the reason."""
    return Report(task, method, suffix, 0, {}, (f"{NONE}: {reason}",), applicable=False)


def _column(key: str, suffix: str) -> str:
    return f"{label(key, suffix)} {ARROWS[METRICS[key].lower_is_better]}"


def markdown(header: list[str], rows: list[list[str]], below: Sequence[str] = ()) -> str:
    """A Markdown table, and lines below it."""
    lines = [header, ["---"] * len(header), *rows]
    table = "".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |\n" for line in lines)
    return table + "".join(f"\n{line}\n" for line in below)


def latex(header: list[str], rows: list[list[str]], below: Sequence[str] = ()) -> str:
    """A LaTeX tabular, with rules and lines below it; letters that mean something to LaTeX are escaped."""

    def escaped(cell: str) -> str:
        words = "".join(LATEX.get(c, c) for c in cell)
        return re.sub(r"(?<![\w}])-(?=\d)", "$-$", words)  # a minus, and no hyphen

    def line(cells: list[str]) -> str:
        return " & ".join(map(escaped, cells)) + r" \\"

    body = [line(header), r"\hline", *map(line, rows)]
    if below:
        across = rf"\multicolumn{{{len(header)}}}{{l}}"
        body += [r"\hline", *(rf"{across}{{{escaped(text)}}} \\" for text in below)]
    return "\n".join([rf"\begin{{tabular}}{{{'l' * len(header)}}}", *body, r"\end{tabular}", ""])


def _html(caption: str, header: list[str], rows: list[list[str]], below: Sequence[str] = ()) -> str:
    def line(cells: list[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{whole(html.escape(cell))}</{tag}>" for cell in cells) + "</tr>"

    def whole(cell: str) -> str:  # an interval and a spread are not broken
        return re.sub(r"(?<=\d,) (?=[-\d])| (?=±)|(?<=±) ", "&nbsp;", cell)

    top = f"<caption>{html.escape(caption)}</caption>" if caption else ""
    body = "".join(line(row, "td") for row in rows)
    under = "".join(f"<p>{html.escape(text)}</p>" for text in below)
    # the class of pandas' tables, which book themes know in light and dark
    return f'<table class="dataframe">{top}<thead>{line(header, "th")}</thead><tbody>{body}</tbody></table>{under}'
