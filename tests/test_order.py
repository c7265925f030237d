"""The order in which tests are handed to processes that work side by side."""

from types import SimpleNamespace

import conftest
import order
from sources import ROOT


def item(nodeid: str, slow: bool = False) -> SimpleNamespace:
    return SimpleNamespace(nodeid=nodeid, get_closest_marker=lambda name: slow and name == "slow")


def test_modules_that_take_long_come_first_and_stay_whole(monkeypatch):
    monkeypatch.setattr(order, "MEASURED", {"quick": {"tests/d.py": 9.0}, "slow": {"book/start.ipynb": 50.0}})
    quick = [item(f"tests/a.py::test_{i}") for i in range(3)]
    slow = [item("tests/b.py::test_0"), item("tests/b.py::test_1", slow=True)]
    chapter = [item(f"book/start.ipynb::Cell {i}") for i in range(2)]
    known = [item("tests/d.py::test_0")]
    more = [item(f"tests/c.py::test_{i}") for i in range(3)]
    items = [*quick, *more, *known, *slow, *chapter]
    assert order.seconds_of(items)["tests/b.py"] == order.GUESSED["quick"] + order.GUESSED["slow"]
    conftest.pytest_collection_modifyitems(items)
    assert items == [*chapter, *known, *slow, *quick, *more]


def test_the_makefile_keeps_the_order():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    shared = [line for line in makefile.splitlines() if "-m pytest" in line and "-n $(JOBS)" in line]
    assert len(shared) == 2 and all("--dist loadscope --no-loadscope-reorder" in line for line in shared)


def test_what_was_measured_is_there():
    for modules in order.MEASURED.values():
        assert [name for name in modules if not (ROOT / name).exists()] == []
