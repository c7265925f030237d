"""Chapters as batch jobs: a whole grid of parameters through papermill, resumed by running it again.

    grid(Path("book/benchmark.ipynb"), Path("out"), {"level": ["M", "L"], "seed": [0, 1]})

papermill itself only warns of a parameter that a notebook does not have; here it is an error, before anything runs.
Needs papermill: pip install 'rusr[book]'. Chapter: book/benchmark.ipynb.
"""

import hashlib
import itertools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rusr_core.errors import RusrError

Value = str | int | float


class NotebookError(RusrError):
    """A notebook, a parameter or a value that does not exist, or papermill that is not installed."""


def grid(
    notebook: Path,
    folder: Path,
    axes: Mapping[str, Sequence[Value]],
    *,
    callback: Callable[[Path, bool], None] | None = None,
) -> list[Path]:
    """Execute `notebook` once for every combination of values; -> the executed notebooks, in `folder`.

    A file that is there is done and is not run again; each is written under a temporary name and renamed, so that a
    file is whole or absent. A combination that fails leaves `*.failed.ipynb` to look at, and ends the run.
    `callback(path, ran)` is called after each.
    """
    typed = _typed(notebook, axes)
    folder.mkdir(parents=True, exist_ok=True)
    done = []
    for values in itertools.product(*typed.values()):
        chosen = dict(zip(typed, values, strict=True))
        path = folder / f"{'_'.join([notebook.stem, *(f'{k}-{_in_a_name(v)}' for k, v in chosen.items())])}.ipynb"
        ran = not path.exists()
        if ran:
            execute(notebook, path, chosen)
        done.append(path)
        if callback is not None:
            callback(path, ran)
    return done


def _in_a_name(value: Value) -> str:
    """The value as a part of a file's name; one that is a path, with what tells it from others that look like it."""
    text = str(value)
    safe = re.sub(r"[^A-Za-z0-9_.+-]", "-", text)
    return safe if safe == text else f"{safe.strip('-.')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def execute(notebook: Path, output: Path, parameters: Mapping[str, Value]) -> None:
    """Run one notebook with these parameters. Raises `NotebookError` for parameters that it does not have, and for
    a cell that fails.
    """
    papermill = _papermill()
    _typed(notebook, {name: [value] for name, value in parameters.items()})
    temporary = output.with_name(f".{output.stem}.{os.getpid()}.ipynb")
    try:
        papermill.execute_notebook(
            str(notebook), str(temporary), parameters=dict(parameters), kernel_name="python3", progress_bar=False
        )
    except papermill.PapermillExecutionError as error:
        failed = output.with_name(f"{output.stem}.failed.ipynb")
        os.replace(temporary, failed)
        raise NotebookError(f"{notebook.name}: {error.ename}: {error.evalue}; {failed} shows where") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    os.replace(temporary, output)


def _typed(notebook: Path, axes: Mapping[str, Sequence[Value]]) -> dict[str, list[Value]]:
    """The values with the types that the parameters cell declares."""
    if not notebook.is_file():
        raise NotebookError(f"{notebook}: no such notebook")
    known = _papermill().inspect_notebook(str(notebook))
    unknown = sorted(set(axes) - set(known))
    if unknown:
        raise NotebookError(
            f"{notebook.name} has no parameter {', '.join(unknown)}; expected one of {', '.join(known)}"
        )
    declared = {name: known[name]["inferred_type_name"] for name in axes}
    return {name: [_convert(name, value, declared[name]) for value in values] for name, values in axes.items()}


def _convert(name: str, value: Value, declared: str) -> Value:
    kind = {"int": int, "float": float}.get(declared, str)
    try:
        return kind(value)
    except ValueError:
        raise NotebookError(f"parameter {name} is {value!r}, expected {declared}") from None


def _papermill() -> object:
    try:
        import papermill
    except ImportError as error:
        raise NotebookError("running notebooks needs papermill: pip install 'rusr[book]'") from error
    return papermill
