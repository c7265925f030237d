"""How the tests are shared among processes that work side by side: modules that take long come first.

`seconds.json` holds what a module took of one core, where that was three seconds or more, in its quick tests and in
its slow ones, cells of chapters among these. What it does not know is guessed. `--dist loadscope` hands out modules in
this order, so that all processes end at about the same time.
"""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

GUESSED = {"quick": 0.1, "slow": 4.0, "cell": 0.6}  # s of a test
MEASURED: dict[str, dict[str, float]] = json.loads(Path(__file__).with_name("seconds.json").read_text(encoding="utf-8"))


def kind_of(item: pytest.Item) -> str:
    """Whether a test is a cell of a chapter, slow or quick."""
    return "cell" if ".ipynb::" in item.nodeid else "slow" if item.get_closest_marker("slow") else "quick"


def seconds_of(items: Sequence[pytest.Item]) -> dict[str, float]:
    """What each module of these tests is expected to take, of all its quick and all its slow tests that are there."""
    numbers = Counter((item.nodeid.split("::")[0], kind_of(item)) for item in items)
    found: dict[str, float] = {}
    for (module, kind), number in numbers.items():
        known = MEASURED["quick" if kind == "quick" else "slow"].get(module, number * GUESSED[kind])
        found[module] = found.get(module, 0.0) + known
    return found
