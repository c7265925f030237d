"""One setting against settings for each task: methods x tasks in three columns, paired differences, and prices.

    default    NAME          the published settings
    one        NAME@one      the single setting that is best on average over all tasks
    tuned      NAME@tuned    the best setting for each task and level

Distances are LPIPS of the judging net. Differences are paired: of each portrait the ratio of two methods' distances, on
a logarithmic scale (`factors.factor`). A win or a loss is one whose 95 % interval, as it is printed, excludes "as far";
all others are ties. The price of one setting is the factor of a method's one setting against its settings for each
task; of our preset it is that of the preset as it is. Chapter: book/one_setting.ipynb.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from rusr_core import tasks
from rusr_core.metrics.intervals import mean_interval, with_interval
from rusr_core.metrics.report import NONE, markdown
from rusr_core.presets import PRESETS
from rusr_core.sweeps import results
from rusr_core.sweeps.factors import FactorError, decided, factor, log_distance, per_cent
from rusr_core.sweeps.recordings import Recording
from rusr_core.sweeps.storage import not_applicable

COLUMNS = ("default", "one", "tuned")
OURS = "default"
NOT_RUN = "-"  # no restoration, and no reason: not asked for, or not finished


def named(method: str, column: str) -> str:
    """What a method is called in a column."""
    return method if column == "default" else f"{method}@{column}"


@dataclass(frozen=True)
class Comparison:
    """A sweep of methods in up to three columns each."""

    recording: Recording  # of which the units count
    reasons: Mapping[tuple[str, str], str]  # (method as it was run, task): why it is "n/a"

    @classmethod
    def of_folder(cls, folder: str | Path) -> "Comparison":
        """What a folder of `rusr bench` holds so far."""
        rows = tuple(results.rows(folder))
        return cls(Recording(Path(folder).name, rows, (), {}), not_applicable(folder))

    @classmethod
    def of_recording(cls, recording: Recording) -> "Comparison":
        """A recorded sweep."""
        rows = recording.provenance.get("not_applicable", [])
        return cls(recording, {(method, task): reason for method, task, reason in rows})

    @property
    def methods(self) -> list[str]:
        """The methods without their columns, ours first."""
        run = [unit["method"] for unit in self.recording.units] + [method for method, _ in self.reasons]
        found = dict.fromkeys(method.partition("@")[0] if _column(method) else method for method in run)
        return sorted(found, key=lambda name: name not in PRESETS)

    @property
    def tasks(self) -> list[str]:
        """The tasks in the order of the tables."""
        order = {str(task): i for i, task in enumerate(tasks.SINGLE + tasks.COMPOSED + tasks.EXTRA)}
        found = {unit["task"] for unit in self.recording.units} | {task for _, task in self.reasons}
        return sorted(found, key=lambda task: (order.get(task, len(order)), task))

    def distances(self, method: str, task: str) -> dict[str, float]:
        """LPIPS of each portrait, the mean over seeds, of a method as it was run."""
        values: dict[str, list[float]] = {}
        for unit in self.recording.units:
            if (unit["method"], unit["task"]) == (method, task) and "lpips" in unit:
                values.setdefault(unit["image"], []).append(unit["lpips"])
        return {image: sum(each) / len(each) for image, each in values.items()}

    def portraits(self, task: str) -> list[str]:
        """The portraits of a task that all methods and columns with any result have."""
        ran = {unit["method"] for unit in self.recording.units if unit["task"] == task}
        each = [set(self.distances(method, task)) for method in sorted(ran)]
        return sorted(set.intersection(*each)) if each else []

    def mean(self, method: str, task: str) -> tuple[float, float, float] | None:
        """Mean LPIPS over the task's portraits with Student's interval; None where there is nothing."""
        found, portraits = self.distances(method, task), self.portraits(task)
        if not found or not portraits:
            return None
        return mean_interval(torch.tensor([found[image] for image in portraits], dtype=torch.float64))

    def against(self, method: str, other: str, chosen: Sequence[str]) -> tuple[float, float, float] | None:
        """How many times as far from the truth `method` ends as `other`, on these tasks, with the interval.

        None where one of them is n/a or did not run on one of the tasks, there are fewer than two portraits, or one of
        them ends at the truth itself, at the distance 0.
        """
        try:
            return factor(self.recording, method, other, chosen)
        except FactorError:
            return None

    def shared(self, *methods: str) -> list[str]:
        """The tasks that all these methods, as they were run, have results of."""
        return [task for task in self.tasks if all(self.distances(method, task) for method in methods)]

    def price(self, method: str) -> tuple[float, float, float] | None:
        """The price of one setting: its factor against the settings for each task, on the tasks that both have."""
        one, tuned = method if method in PRESETS else named(method, "one"), named(method, "tuned")
        both = self.shared(one, tuned)
        return self.against(one, tuned, both) if both else None


def tuned_among(
    recording: Recording, variants: Sequence[str], portraits: Sequence[str], ours: str = OURS
) -> tuple[Comparison, dict[str, str]]:
    """The tuned column of a preset, taken from recorded variants of it instead of from a study.

    Of each task it is the variant, `ours` among them, whose LPIPS has the smallest mean logarithm on `portraits`. The
    comparison holds all other portraits only, so that no choice is tested on what it was made on.

    -> the comparison of `ours` with "`ours`@tuned", and {task: the variant that was chosen}. Raises FactorError if a
    variant lacks one of the portraits or ends at the distance 0, or if there is none to choose on.
    """
    if not portraits:
        raise FactorError(f"no portraits to choose on in {recording.name!r}; expected one or more")
    every = Comparison.of_recording(recording)
    units, chosen = [], {}
    for task in every.tasks:
        found = {name: every.distances(name, task) for name in dict.fromkeys([ours, *variants])}
        for name, each in found.items():
            if missing := sorted(set(portraits) - set(each)):
                raise FactorError(f"{task}: {name} lacks {', '.join(missing)} in {recording.name!r}; expected each")
        logs = {name: sum(log_distance(each, image) for image in portraits) for name, each in found.items()}
        chosen[task] = min(logs, key=lambda name: logs[name])
        for method, name in ((ours, ours), (named(ours, "tuned"), chosen[task])):
            left = {image: value for image, value in found[name].items() if image not in portraits}
            units += [{"task": task, "method": method, "image": image, "lpips": v} for image, v in left.items()]
    return Comparison(Recording(recording.name, tuple(units), (), recording.provenance), {}), chosen


def _column(method: str) -> str | None:
    """The column of a method as it was run; None for "default@30", which is another method."""
    column = method.partition("@")[2] or "default"
    return column if column in COLUMNS else None


@dataclass(frozen=True)
class Grid:
    """A table: what it shows, a header, rows of words, and lines below."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    below: tuple[str, ...] = ()

    def to_markdown(self) -> str:
        """The table in Markdown under its title."""
        return f"## {self.title}\n\n" + markdown(list(self.header), [list(row) for row in self.rows], self.below)

    def to_csv(self) -> str:
        """The same cells as CSV."""
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows([self.header, *self.rows])
        return file.getvalue()


def distances(found: Comparison) -> Grid:
    """Method x task: mean LPIPS with its interval in each column, and "n/a" where a method cannot do a task."""
    rows, reasons = [], {}
    for task in found.tasks:
        for method in found.methods:
            cells = []
            for column in COLUMNS:
                name = named(method, column)
                value, reason = found.mean(name, task), found.reasons.get((name, task))
                cells.append(NOT_RUN if value is None and reason is None else _shown(value))
                if value is None and reason is not None:
                    reasons[f"{name} on {task}"] = reason
            rows.append((task, method, str(len(found.portraits(task))), *cells))
    below = ["[low, high]: 95 % interval over portraits (Student)", f"{NOT_RUN}: not run, or no such settings"]
    below += [f"{NONE}: {where}: {reason}" for where, reason in reasons.items()]
    return Grid("LPIPS to the truth", ("task", "method", "portraits", *COLUMNS), tuple(rows), tuple(below))


def differences(found: Comparison, ours: str = OURS) -> Grid:
    """Each rival in each column against our one setting, by task and over all tasks that both have."""
    rows = []
    for method in found.methods:
        for column in COLUMNS:
            name = named(method, column)
            both = found.shared(name, ours) if name != ours else []
            if not both:
                continue
            each = [(task, found.against(name, ours, [task])) for task in both]
            verdicts = [verdict(value) for _, value in each]
            rows.append((method, column, f"all {len(both)}", *_told(found.against(name, ours, both))))
            rows += [(method, column, task, *_told(value)) for task, value in each]
            counts = ", ".join(f"{verdicts.count(word)} {word}" for word in ("nearer", "tie", "farther"))
            rows.append((method, column, "count", counts, ""))
    below = (f"change of LPIPS against {ours}, paired by portrait; negative: nearer to the truth than {ours}",)
    return Grid(f"Against {ours}", ("method", "column", "task", "LPIPS", "verdict"), tuple(rows), below)


def prices(found: Comparison) -> Grid:
    """The price of one setting for every method that was tuned."""
    rows = []
    for method in found.methods:
        value = found.price(method)
        one = "as it is" if method in PRESETS else "one"
        both = found.shared(method if method in PRESETS else named(method, "one"), named(method, "tuned"))
        if both:
            rows.append((method, one, str(len(both)), *_told(value)[:1]))
    below = (
        "how much farther from the truth one setting ends than the best setting for each task, paired by portrait",
    )
    return Grid("The price of one setting", ("method", "setting", "tasks", "price"), tuple(rows), below)


def verdict(value: tuple[float, float, float] | None) -> str:
    """What a factor's interval allows to say (`factors.decided`): "nearer", "farther", or "tie" where it holds 1."""
    if value is None or math.isnan(value[1]):
        return "not known"
    return {-1: "nearer", 0: "tie", 1: "farther"}[decided(*value)]


def _shown(value: tuple[float, float, float] | None) -> str:
    return NONE if value is None else with_interval(*value, digits=4)


def _told(value: tuple[float, float, float] | None) -> tuple[str, str]:
    return (NOT_RUN if value is None else per_cent(*value)), verdict(value)
