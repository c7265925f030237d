"""What a step of each method takes, measured in one run on one machine, so that recordings of several compare.

`data/results/costs/costs.json` is what `benchmarks.costs` measured: seconds of one core of a restoration with the
published settings, and of each step. A recording says how many steps a portrait took, wherever it was made; its own
seconds are those of its machine, and of what else ran there. Chapter: book/one_setting.ipynb.
"""

import json
from functools import cache

from rusr_core.files import DataError, data_path
from rusr_core.sweeps.recordings import Recording, RecordingError

COSTS = "results/costs/costs.json"


@cache
def measured(prior: str) -> dict[str, dict]:
    """The measured row of each method with a prior: "seconds", "steps", "per step" and others; {} for another prior."""
    try:
        rows = json.loads(data_path(COSTS).read_text(encoding="utf-8"))
    except DataError:
        return {}
    return {name: row for name, row in rows.items() if row["prior"] == prior}


def seconds(recording: Recording, method: str, task: str) -> float:
    """Seconds of one core that a portrait of a task took in the mean, at the measured price of a step.

    `method` is as it was run: settings of another column, "ddrm@tuned", count by their number of steps. Raises
    `RecordingError` if the recording has no such method and task, or the method was not measured with its prior.
    """
    steps = recording.column("steps", method=method, task=task)
    known = measured(recording.provenance["prior"])
    if (name := method.partition("@")[0]) not in known:
        raise RecordingError(
            f"no cost of {name!r} with {recording.provenance['prior']!r}; measured are {sorted(known)}"
        )
    row = known[name]
    each = row["per step"] or 0.0  # None: a method without steps
    return row["seconds"] + each * (sum(steps) / len(steps) - (row["steps"] or 0))
