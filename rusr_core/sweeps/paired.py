"""What each method gains or loses against one of them in a folder of `rusr bench`, paired by portrait.

Of each portrait the ratio of two distances from the truth (LPIPS by the judge) is taken, so that what makes a portrait
hard is in both and cancels: two methods can be told apart whose own intervals overlap. `factors` says how.
"""

import csv
import io
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rusr_core.metrics.judges import label
from rusr_core.metrics.report import NONE, latex, markdown
from rusr_core.sweeps.factors import FactorError, factor, nearer, per_cent
from rusr_core.sweeps.recordings import Recording
from rusr_core.sweeps.results import ORACLE, ResultsError, Selection, check_shared, left_out_words, selections
from rusr_core.sweeps.storage import manifest, not_applicable

COLUMNS = "task method against images seeds factor low high nearer notes".split()


@dataclass(frozen=True)
class Pair:
    """One method on one task, or on all tasks together."""

    task: str
    method: str
    images: int = 0
    seeds: int = 1
    factor: tuple[float, float, float] | None = None  # times as far from the truth, with its interval; None: see reason
    nearer: int | None = None  # portraits on which it ends nearer; None for all tasks together
    reason: str = ""  # why there is no factor


@dataclass(frozen=True)
class PairedTable:
    """A row a task and method, in the forms of `metrics.report.Table`."""

    against: str
    metric: str  # "LPIPS-portraits"
    pairs: tuple[Pair, ...]
    oracles: tuple[str, ...] = ()  # methods that were shown the truth
    notes: tuple[str, ...] = ()  # what was left out

    def __str__(self) -> str:
        """Aligned columns."""
        lines = list(zip(*self._grid(), strict=True))
        widths = [max(map(len, column)) for column in lines]
        rows = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in self._grid())
        return "\n".join([*rows, "", *self._below()])

    def to_markdown(self) -> str:
        """A Markdown table."""
        header, *rows = self._grid()
        return markdown(header, rows, self._below())

    def to_latex(self) -> str:
        """A LaTeX tabular (no packages needed)."""
        header, *rows = self._grid()
        return latex(header, rows, self._below())

    def to_csv(self) -> str:
        """Tidy CSV with the columns `COLUMNS`; fields without a value are empty."""
        file = io.StringIO()
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for pair in self.pairs:
            numbers = dict(zip(("factor", "low", "high"), pair.factor or ("", "", ""), strict=True))
            about = {key: getattr(pair, key) for key in ("task", "method", "images", "seeds", "nearer")}
            notes = [*([pair.reason] if pair.reason else []), *self._shown_truth(pair.method, self.against)]
            writer.writerow(about | numbers | {"against": self.against, "notes": "; ".join(notes)})
        return file.getvalue()

    def _grid(self) -> list[list[str]]:
        rows = [["task", "method", "images", f"{self.metric} against {self.against}", "nearer"]]
        for pair in self.pairs:
            change = per_cent(*pair.factor) if pair.factor else NONE
            images = str(pair.images) if pair.seeds == 1 else f"{pair.images} x {pair.seeds} seeds"
            won = "" if pair.nearer is None else f"{pair.nearer} of {pair.images}"
            rows.append([pair.task, pair.method, images if pair.images else NONE, change, won])
        return rows

    def _shown_truth(self, *methods: str) -> list[str]:
        return [f"{method}: {ORACLE}" for method in methods if method in self.oracles]

    def _below(self) -> list[str]:
        told = f"change of {self.metric} against {self.against}, paired by portrait, with its 95 % interval (Student)"
        reasons = [f"{NONE}: {pair.method} on {pair.task}: {pair.reason}" for pair in self.pairs if pair.reason]
        return [f"{told}; negative: nearer to the truth", *reasons, *self._shown_truth(*self.oracles), *self.notes]


def compare(folder: str | Path, against: str, *, methods: Collection[str] | None = None) -> PairedTable:
    """Each method of a sweep, or of `methods`, against one of them: on each task, and on all tasks of both together.

    It rests on the images and seeds on which `results.reports` rests. A method that cannot do a task has a row with the
    reason, and so has a task of fewer than two portraits or with a distance of 0, which has no factor. Raises
    ResultsError if there is nothing to compare.
    """
    chosen = None if methods is None else list(dict.fromkeys([*methods, against]))
    found, missing = selections(folder, chosen), not_applicable(folder)
    names = sorted({name for each in found.values() for name in each.results} | {name for name, _ in missing})
    names = [name for name in names if chosen is None or name in chosen]
    if against not in names or len(names) < 2:
        raise ResultsError(f"{folder}: {against!r} is compared with others of {', '.join(names)}: expected two of them")
    for task, each in found.items():
        check_shared(task, each)
    sweep = Recording(str(folder), tuple(_units(found)), (), {})
    pairs = []
    for name in names:
        if name == against:
            continue
        own = [_pair(sweep, task, each, name, against, missing) for task, each in found.items()]
        own = [pair for pair in own if pair is not None]
        pairs += own
        if sum(pair.factor is not None for pair in own) > 1:
            pairs.append(_together(sweep, own, name, against, len(found)))
    order = {task: i for i, task in enumerate(found)}
    metric = label("lpips", manifest(folder)["judge"]["suffix"])
    left = {name: sum(each.left_out.get(name, 0) for each in found.values()) for name in names}
    notes = tuple(f"{name}: {left_out_words(number)}" for name, number in left.items() if number)
    oracles = tuple(name for name in names if any(unit["oracle"] for unit in sweep.units if unit["method"] == name))
    return PairedTable(
        against, metric, tuple(sorted(pairs, key=lambda pair: order.get(pair.task, len(order)))), oracles, notes
    )


def _units(found: dict[str, Selection]) -> list[dict]:
    """What is compared, as rows of a recording."""
    done = [result.record for each in found.values() for units in each.results.values() for result in units.values()]
    return [{key: unit[key] for key in ("method", "task", "image", "oracle")} | unit["scores"] for unit in done]


def _pair(
    sweep: Recording, task: str, each: Selection, method: str, against: str, missing: dict[tuple[str, str], str]
) -> Pair | None:
    """A method on a task; None where nobody asked it to do that task."""
    for name in (method, against):
        if (name, task) in missing:
            return Pair(task, method, reason=f"{'' if name == method else f'{name}: '}{missing[name, task]}")
    if method not in each.results:
        return None
    if against not in each.results:
        return Pair(task, method, reason=f"{against} has not done it")
    won, _ = nearer(sweep, task, method, against)
    pair = Pair(task, method, len(each.images), len(each.seeds), nearer=won)
    return _measured(pair, sweep, against, [task])


def _together(sweep: Recording, own: list[Pair], method: str, against: str, planned: int) -> Pair:
    """A method on all tasks of `own` that have a factor, over the portraits that have them all. How many they are of
    those of the sweep is said: another method's may be harder."""
    tasks, seeds = zip(*((pair.task, pair.seeds) for pair in own if pair.factor), strict=True)
    sets = [{unit["image"] for unit in sweep.units if unit["task"] == task} for task in tasks]
    words = f"all {planned} tasks" if len(tasks) == planned else f"{len(tasks)} of {planned} tasks"
    return _measured(Pair(words, method, len(set.intersection(*sets)), min(seeds)), sweep, against, tasks)


def _measured(pair: Pair, sweep: Recording, against: str, tasks: Sequence[str]) -> Pair:
    """The same pair with its factor over these tasks, or with the reason for none."""
    if pair.images < 2:
        return replace(pair, reason=f"portraits to compare: {pair.images}, expected 2 or more")
    try:
        return replace(pair, factor=factor(sweep, pair.method, against, tasks))
    except FactorError as error:
        return replace(pair, reason=str(error))
