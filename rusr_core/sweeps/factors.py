"""How many times as far from the truth one method ends as another: factors of recorded distances, with intervals.

Distances are LPIPS of recorded restorations. Factors are paired by portrait and taken on a logarithmic scale, so that
each task counts by its ratio and none by its size.
"""

import math
from collections.abc import Hashable, Mapping, Sequence

import torch

from rusr_core.errors import RusrError
from rusr_core.metrics.intervals import LEVEL, mean_factor
from rusr_core.presets import known_as
from rusr_core.sweeps.recordings import Recording


class FactorError(RusrError):
    """A comparison that a recording does not hold, or a distance that has no factor."""


def factor(
    recording: Recording,
    method: str,
    reference: str,
    tasks: Sequence[str] | None = None,
    *,
    level: float = LEVEL,
) -> tuple[float, float, float]:
    """How many times as far from the truth `method` ends as `reference`: the mean factor and its interval.

    The distance is LPIPS of a recorded unit. For each portrait the logarithms of its factors are averaged over the
    tasks, by default all that both methods have; the interval is Student's over these means, one a portrait, since the
    tasks of one portrait are not independent. -> (factor, low, high); 1 is "as far", less is nearer.

    That the interval holds the true factor as often as it says is simulated in tests/sweeps/test_findings.py.
    Raises `FactorError` if a task is missing, if there are fewer than two portraits that have all of them, and for a
    distance of 0, which has no factor.
    """
    found = {name: distances(recording, name) for name in (method, reference)}
    both = sorted({task for task, _ in found[method]} & {task for task, _ in found[reference]})
    wanted = both if tasks is None else list(tasks)
    if not wanted or not set(wanted) <= set(both):
        raise FactorError(f"{method} and {reference} share the tasks {both} in {recording.name!r}, expected {wanted}")
    portraits = sorted({image for _, image in found[reference]})
    rows = [
        [log_distance(found[method], (task, image)) - log_distance(found[reference], (task, image)) for task in wanted]
        for image in portraits
        if all((task, image) in found[name] for name in found for task in wanted)
    ]
    if len(rows) < 2:
        raise FactorError(f"{len(rows)} portraits have all of {wanted} in {recording.name!r}, expected 2 or more")
    means = torch.tensor(rows, dtype=torch.float64).mean(1)  # [portraits]
    return mean_factor(means, level=level)


def log_distance(distances: Mapping[Hashable, float], name: Hashable) -> float:
    """The logarithm of one of the distances. Raises `FactorError` for what has none."""
    value = distances[name]
    if not 0 < value < math.inf:
        raise FactorError(f"the distance of {name} is {value}: expected a positive number, of which factors are taken")
    return math.log(value)


def distances(recording: Recording, method: str) -> dict[tuple[str, str], float]:
    """{(task, portrait): LPIPS}, the mean over seeds where there are several."""
    values: dict[tuple[str, str], list[float]] = {}
    method = known_as(method)
    for unit in recording.units:
        if unit["method"] == method and "lpips" in unit:
            values.setdefault((unit["task"], unit["image"]), []).append(unit["lpips"])
    return {key: sum(each) / len(each) for key, each in values.items()}


def per_cent(value: float, low: float, high: float) -> str:
    """A factor as a change: "+17 % [+13, +22]"."""
    change, lowest, highest = _changes(value, low, high)
    return f"{change:+d} % [{lowest:+d}, {highest:+d}]"


def _changes(*factors: float) -> list[int]:
    """Factors as changes in whole per cent."""
    return [round(100 * (number - 1)) for number in factors]


def decided(value: float, low: float, high: float) -> int:
    """What a factor's interval says, by its bounds as they are printed, in whole per cent: 1 for farther, -1 for
    nearer, 0 where it holds "as far"."""
    _, lowest, highest = _changes(value, low, high)
    return 1 if lowest > 0 else -1 if highest < 0 else 0


def nearer(recording: Recording, task: str, method: str, opponent: str) -> tuple[int, int]:
    """On how many portraits of a task `method` ends nearer to the truth than `opponent`, and how many both have."""
    ours, theirs = distances(recording, method), distances(recording, opponent)
    both = [key for key in ours.keys() & theirs.keys() if key[0] == task]
    return sum(ours[key] < theirs[key] for key in both), len(both)


def agreement(
    recordings: tuple[Recording, Recording], method: str, reference: str, tasks: Sequence[str] | None = None
) -> tuple[str, str, str]:
    """What each of two recordings says of `method` against `reference`, in words, and whether they say the same.

    That is "the same" or "the opposite" if both intervals exclude "as far", with bounds as they are printed, in whole
    per cent; otherwise "undecided". Raises `FactorError` as `factor` does.
    """
    found = [factor(each, method, reference, tasks) for each in recordings]
    signs = [decided(*each) for each in found]
    alike = "the same" if signs[0] == signs[1] else "the opposite"
    return per_cent(*found[0]), per_cent(*found[1]), alike if all(signs) else "undecided"


def together(
    recording: Recording, methods: Sequence[str], reference: str, tasks: Sequence[str] | None = None
) -> dict[str, tuple[float, float, float]]:
    """`factor` of several methods, whose intervals *all* hold their true factors in 95 of 100 cases.

    Each is computed at the level 1 - 0.05 / number of methods (Bonferroni), so that choosing the largest or the
    smallest of them afterwards is allowed.
    """
    level = 1 - (1 - LEVEL) / len(methods)
    return {method: factor(recording, method, reference, tasks, level=level) for method in methods}
