"""Grids of notebooks resume and refuse unknown names."""

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import nbformat
import numpy as np
import pytest

from rusr_core.commands import main
from rusr_core.sweeps import notebooks
from rusr_core.sweeps.claims import StorageError, claim
from rusr_core.sweeps.parameters import ParameterError, declared, split_values


def write(path: Path, parameters: str, code: str, **metadata) -> Path:
    """A notebook of two cells."""
    cells = [nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})]
    cells.append(nbformat.v4.new_code_cell(code))
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


@pytest.fixture
def tiny(tmp_path) -> Path:
    """A notebook of two parameters that fails for one value."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    code = "assert level != 'bad'\nprint(level, seed + 1)"
    return write(tmp_path / "tiny.ipynb", "level: str = 'M'\nseed: int = 0", code, kernelspec=kernel)


def printed(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[-1].outputs[0].text.strip()


@pytest.mark.slow
def test_a_grid_runs_every_combination_once(tiny, tmp_path, capsys):
    command = ["papermill", str(tiny), str(tmp_path / "out"), "-p", "level=S,L", "-p", "seed=3"]
    assert main(command) == 0
    made = sorted((tmp_path / "out").glob("*.ipynb"))
    assert [p.name for p in made] == ["tiny_level-L_seed-3.ipynb", "tiny_level-S_seed-3.ipynb"]
    assert [printed(p) for p in made] == ["L 4", "S 4"]  # the seed came as text and became a number
    times = [p.stat().st_mtime_ns for p in made]
    capsys.readouterr()
    assert main(command) == 0 and capsys.readouterr().out.count("was there") == 2
    assert [p.stat().st_mtime_ns for p in made] == times
    assert notebooks.grid(str(tiny), str(tmp_path / "out"), {"level": ["L"], "seed": [3]}) == made[:1]  # files by name
    assert notebooks.read_axes(str(tiny), {"seed": "3"}) == {"seed": [3]}


def test_each_run_of_a_grid_may_have_a_folder_of_its_own(tmp_path, capsys):
    """Runs of some chapters save pictures under equal names, the later one over the earlier one."""
    cell = "level: str = 'M'\nseed: int = 0\nout_dir: str = ''"
    chapter = write(tmp_path / "chapter.ipynb", cell, "from pathlib import Path\nPath(out_dir).mkdir()\nprint(out_dir)")
    words = ["papermill", str(chapter), str(tmp_path / "out"), "-p", "level=S,L"]
    assert main([*words, "-p", f"out_dir={tmp_path}/at-{{level}}"]) == 0
    assert sorted(path.name for path in tmp_path.glob("at-*")) == ["at-L", "at-S"]
    assert len(list((tmp_path / "out").glob("*.ipynb"))) == 2
    assert main([*words, "-p", "out_dir=at-{seed}"]) == 2
    assert "out_dir 'at-{seed}': seed is not given, expected one of level" in capsys.readouterr().err
    with pytest.raises(ParameterError, match="seed is not given, expected a folder"):
        notebooks.grid(chapter, tmp_path / "out", {"out_dir": ["at-{seed}"]})
    for level in ("", ".."):
        with pytest.raises(ParameterError, match=f"level is '{level}', expected what can name a folder"):
            notebooks.grid(chapter, tmp_path / "out", {"out_dir": ["{level}/{seed}"], "level": [level], "seed": [0]})


@pytest.fixture
def executed(monkeypatch) -> list[str]:
    """The names of what was executed, in place of executing it."""
    names = []
    monkeypatch.setattr(notebooks, "execute", lambda notebook, path, values: names.append(path.name) or path.touch())
    return names


def test_commands_on_one_grid_share_its_runs(tiny, tmp_path, executed):
    """The other one is at S: L is done first, and S is waited for and not done again."""
    (out := tmp_path / "out").mkdir()
    seen = []

    def end_the_other(path, ran):
        seen.append((path.name, ran))
        (out / "tiny_level-S.ipynb").touch()
        other.close()

    with ExitStack() as other:
        other.enter_context(claim(out, "tiny_level-S.ipynb"))
        notebooks.grid(tiny, out, {"level": ["S", "L"]}, callback=end_the_other)
    assert seen == [("tiny_level-L.ipynb", True), ("tiny_level-S.ipynb", False)] and executed == ["tiny_level-L.ipynb"]


def test_a_grid_needs_no_locks(tiny, tmp_path, executed, monkeypatch):
    def refuse(*args, **options):
        raise StorageError("this file system has no locks")

    monkeypatch.setattr(notebooks, "claim", refuse)
    assert len(notebooks.grid(tiny, tmp_path / "out", {"level": ["S", "L"]})) == len(executed) == 2


def test_a_value_that_is_a_path_is_part_of_a_name(tiny, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(notebooks, "execute", lambda notebook, path, values: ran.append(path))
    notebooks.grid(tiny, tmp_path, {"level": ["../a/b", "a-b", "../a-b"]})
    assert len({path.name for path in ran}) == 3 and {path.parent for path in ran} == {tmp_path}


def test_a_failed_notebook_is_kept_apart(tiny, tmp_path):
    with pytest.raises(notebooks.NotebookError, match="tiny.ipynb: AssertionError"):
        notebooks.grid(tiny, tmp_path / "out", {"level": ["bad"]})
    assert [p.name for p in (tmp_path / "out").glob("*.ipynb")] == ["tiny_level-bad.failed.ipynb"]


@pytest.mark.parametrize(
    "words, message",
    [
        (["-p", "stepz=3"], "has no parameter stepz; expected one of level, seed"),
        (["-p", "seed=three"], "parameter seed is 'three', expected int"),
        (["-p", "seed=True"], "parameter seed is 'True', expected int"),
        (["-p", "seed=1.5"], "parameter seed is '1.5', expected int"),
        (["-p", "seed=None"], "parameter seed is 'None', expected int"),
        (["-p", "seed=[1,2"], "expected ] at the end"),
        (["-p", "seed"], "expected NAME=VALUE"),
    ],
)
def test_unknown_parameters_are_errors_and_write_nothing(tiny, tmp_path, capsys, words, message):
    assert main(["papermill", str(tiny), str(tmp_path / "out"), *words]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_missing_notebook(tmp_path, capsys):
    assert main(["papermill", str(tmp_path / "none.ipynb"), str(tmp_path / "out")]) == 2
    assert "no such notebook" in capsys.readouterr().err


def test_it_runs_with_this_interpreter_whatever_kernels_there_are(tmp_path, monkeypatch, capfd):
    """A kernel called python3 that belongs to an environment that was deleted; a notebook that names no kernel."""
    kernel = tmp_path / "jupyter" / "kernels" / "python3"
    kernel.mkdir(parents=True)
    spec = {"argv": ["no_such_python", "-f", "{connection_file}"], "display_name": "P", "language": "python"}
    (kernel / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    notebook = write(tmp_path / "bare.ipynb", "x: int = 1", "import sys\nprint(sys.executable)")
    assert main(["papermill", str(notebook), str(tmp_path / "out {x}"), "-p", "x=2"]) == 0
    assert printed(tmp_path / "out {x}" / "bare_x-2.ipynb") == sys.executable
    assert "WARNING" not in capfd.readouterr().err, "the kernel's, of how it is connected"


def test_values_arrive_with_the_types_that_are_declared(tmp_path, caplog):
    """Also those of types that papermill cannot read, of which it would warn as of parameters that are not there."""
    cell = "fast: bool = True\nseed: int = 0\nrate: float = 1.0\nname: str = ''\nlimit: int | None = 1\n"
    cell += "levels: list[str] = []\nplain = False\nlast: 'float | None' = None\nunset: (\n    str | None\n) = None"
    code = "print(repr((fast, seed, rate, name, limit, levels, plain, last)))"
    notebook = write(tmp_path / "typed.ipynb", cell, code, language_info={"name": "python"})
    words = ["fast=False", "seed=-3", "rate=2", "name='a,b'", "limit=None", "levels=['S', 'L']", "plain=true"]
    options = [option for word in [*words, "last=-1e-3"] for option in ("-p", word)]
    assert main(["papermill", str(notebook), str(tmp_path / "out"), *options]) == 0
    (made,) = (tmp_path / "out").glob("*.ipynb")
    assert printed(made) == repr((False, -3, 2, "a,b", None, ["S", "L"], True, -1e-3))
    assert not caplog.records, caplog.text


@pytest.mark.parametrize(
    "kind, text, value",
    [
        ("bool", "False", False),
        ("bool", "true", True),
        ("bool", "maybe", None),
        ("bool", "0", None),
        ("int", "-3", -3),
        ("int", "1e3", None),
        ("float", "1e-3", 1e-3),
        ("float", "inf", float("inf")),
        ("float", "True", None),
        ("str", "True", "True"),
        ("str", "3", "3"),
        ("str", "don't", "don't"),
        ("str", "'3'", "3"),
        ("str", "", ""),
        ("str | None", "'None'", "None"),
        ("int | str", "3", 3),
        ("list[int]", "[1, 2]", [1, 2]),
        ("list[int]", "[1, 'a']", None),
        ("tuple[int, str]", "(1, 'a')", (1, "a")),
        ("tuple[float, ...]", "(1, 2.5)", (1, 2.5)),
        ("dict[str, int]", "{'a': 1}", {"a": 1}),
        ("Literal['M', 'L']", "L", "L"),
        ("Literal['M', 'L']", "XL", None),
        ("Optional[typing.List[float]]", "[0.5]", [0.5]),
        ("Optional['int']", "3", 3),
        ("Optional['int']", "x", None),
        ("Literal[Mode.A]", "A", "A"),
        ("tuple[()]", "()", ()),
        ("tuple[()]", "(1,)", None),
        ("dict", "{[1]: 2}", None),
        ("float", "1" * 5000, None),
        ("float", "-inf", float("-inf")),
    ],
)
def test_a_text_is_read_by_the_declared_type(kind, text, value):
    """`value` None: it is refused."""
    parameter = declared(f"x: {kind} = 0")["x"]
    if value is None:
        with pytest.raises(ParameterError, match="parameter x is .*, expected"):
            parameter.read(text)
    else:
        assert parameter.read(text) == value and type(parameter.read(text)) is type(value)


@pytest.mark.parametrize("values", [[], ["M", "M"]])
def test_a_grid_has_values_each_once(tiny, tmp_path, values):
    with pytest.raises(ParameterError, match="parameter level has the values .*: expected one or more, each once"):
        notebooks.grid(tiny, tmp_path / "out", {"level": values})
    assert not (tmp_path / "out").exists()


def test_values_of_python_are_checked_and_not_read(tmp_path):
    known = declared("a: bool = True\nb: str = ''\nc: float = 0.0\nd = Path('x')\n%matplotlib inline\n")
    assert known["b"].check("'quoted'") == "'quoted'" and known["b"].check(tmp_path) == str(tmp_path)
    assert known["c"].check(np.float32(0.5)) == 0.5 and type(known["c"].check(np.int64(2))) is int
    assert known["d"].check([1]) == [1]
    for name, value in (("a", "False"), ("a", 1), ("b", 1), ("c", True)):
        with pytest.raises(ParameterError):
            known[name].check(value)


@pytest.mark.parametrize(
    "text, values",
    [
        ("M,L", ["M", "L"]),
        ("[1,2],[3]", ["[1,2]", "[3]"]),
        ("'a,b', c", ["'a,b'", "c"]),
        ("don't,do", ["don't", "do"]),
        ("f(a,b)", ["f(a", "b)"]),
        ("", [""]),
        ('{"a": [1, "]"]},2', ['{"a": [1, "]"]}', "2"]),
    ],
)
def test_commas_separate_values_outside_quotes_and_brackets(text, values):
    assert split_values(text) == values


def test_long_values_give_names_that_files_can_have(tiny):
    names = [notebooks.output_name("chapter", {"path": "é" * 300 + end}) for end in "ab"]
    assert len(set(names)) == 2 and max(len(f"{name}.failed.ipynb".encode()) for name in names) < 255
    assert notebooks.output_name("chapter", {"level": "M"}) == "chapter_level-M"


@pytest.mark.slow
def test_a_kernel_that_dies_is_one_line(tmp_path, capsys):
    notebook = write(tmp_path / "dies.ipynb", "x: int = 1", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert main(["papermill", str(notebook), str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert "dies.ipynb: its kernel died" in err and err.count("error:") == 1
    assert not (tmp_path / "out" / "dies.ipynb").exists()


@pytest.mark.parametrize(
    "text, message",
    [
        ("not JSON", "not a notebook"),
        ('{"cells": 3}', "not a notebook"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}, "nbformat": 4, "nbformat_minor": 4}', "in R"),
    ],
)
def test_what_is_no_python_notebook_is_one_line(text, message, tmp_path, capsys):
    (tmp_path / "bad.ipynb").write_text(text)
    assert main(["papermill", str(tmp_path / "bad.ipynb"), str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()
