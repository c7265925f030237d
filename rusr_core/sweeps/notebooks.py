"""Chapters as batch jobs: a whole grid of parameters through papermill, resumed by running it again.

    grid(Path("book/benchmark.ipynb"), Path("out"), {"level": ["M", "L"], "seed": [0, 1]})

A notebook runs with the interpreter that runs this program, whatever kernels the user has installed, and whatever
kernel the notebook names or does not name. papermill itself only warns of a parameter that a notebook does not have;
here it is an error, before anything runs. Needs papermill: pip install 'rusr[book]'. Chapter: book/benchmark.ipynb.
"""

import hashlib
import importlib.util
import itertools
import logging
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rusr_core.files import as_path, check_writable, write_atomic
from rusr_core.limits import shown
from rusr_core.sweeps.claims import StorageError, claim
from rusr_core.sweeps.parameters import NotebookError, Parameter, ParameterError, Value, declared, split_values

UNTRUE = ("Passed unknown parameter", "Unable to parse line")  # papermill's words, of parameters that it cannot read
LONGEST_NAME = 200  # bytes of an output's name without suffix


def grid(
    notebook: str | Path,
    folder: str | Path,
    axes: Mapping[str, Sequence[Value]],
    *,
    callback: Callable[[Path, bool], None] | None = None,
) -> list[Path]:
    """Execute `notebook` once for every combination of values; -> the executed notebooks, in `folder`.

    A file that is there is done and is not run again; each appears complete or not at all. A combination that fails
    leaves `*.failed.ipynb` to look at, and ends the run. `callback(path, ran)` is called after each. Commands that are
    given one grid at once share its runs, where the file system has locks. A parameter in braces in `out_dir`, as in
    "pictures/{level}", stands for its value: runs of some chapters save under equal names.

    Raises NotebookError, and ParameterError for a parameter that the notebook does not have, for a value of another
    type than it declares, and for no value or one that comes twice.
    """
    notebook, folder = as_path(notebook, NotebookError), as_path(folder, NotebookError)
    known = parameters(notebook)
    for name, values in axes.items():
        if not values or len(set(map(repr, values))) < len(values):
            raise ParameterError(f"parameter {name} has the values {shown(values)}: expected one or more, each once")
    checked = {name: [_find(notebook, known, name).check(v) for v in values] for name, values in axes.items()}
    choices = [_filled(dict(zip(checked, values, strict=True))) for values in itertools.product(*checked.values())]
    jobs = [(folder / f"{output_name(notebook.stem, chosen)}.ipynb", chosen) for chosen in choices]
    check_writable(*(path for path, _ in jobs if not path.exists()), new_folders=True)
    folder.mkdir(parents=True, exist_ok=True)
    taken = [job for job in jobs if not _done(notebook, *job, callback)]
    for job in taken:
        _done(notebook, *job, callback, wait=True)
    return [path for path, _ in jobs]


def _done(
    notebook: Path,
    path: Path,
    chosen: Mapping[str, Value],
    callback: Callable[[Path, bool], None] | None,
    wait: bool = False,
) -> bool:
    """Execute one run of a grid, unless it is there; False, and nothing is done, while another command is at it."""
    with ExitStack() as stack:
        try:
            ours = stack.enter_context(claim(path.parent, path.name, wait=wait))
        except StorageError:  # no locks here: a grid works all the same, and two commands at once do its runs twice
            ours = True
        if not ours:
            return False
        ran = not path.exists()
        if ran:
            execute(notebook, path, chosen)
    if callback is not None:
        callback(path, ran)
    return True


def read_axes(notebook: str | Path, words: Mapping[str, str]) -> dict[str, list[Value]]:
    """Values in text, separated by commas, as the notebook's parameters declare them: {"level": "M,L", "seed": "0"}.

    Raises NotebookError and ParameterError.
    """
    notebook = as_path(notebook, NotebookError)
    known = parameters(notebook)
    return {name: [_find(notebook, known, name).read(v) for v in split_values(text)] for name, text in words.items()}


def parameters(notebook: str | Path) -> dict[str, Parameter]:
    """The parameters of a notebook by name. Raises NotebookError."""
    cells = [cell for cell in _load(notebook).cells if "parameters" in cell.metadata.get("tags", [])]
    try:
        return declared(cells[0].source) if cells else {}
    except ParameterError as error:
        raise NotebookError(f"{notebook}: {error}") from error


def _filled(chosen: dict[str, Value]) -> dict[str, Value]:
    """The values of one run, with those in braces put into its `out_dir`. ParameterError for one that is not given or
    names no folder."""
    folder, others = chosen.get("out_dir"), {name: value for name, value in chosen.items() if name != "out_dir"}
    if not isinstance(folder, str):
        return chosen
    for word in re.findall(r"\{(\w+)\}", folder):
        if word not in others:
            expected = f"one of {', '.join(others)}" if others else "a folder"
            raise ParameterError(f"out_dir {folder!r}: {word} is not given, expected {expected}")
        if not _in_a_name(others[word]).strip("."):  # "", "." and "..": above or beside what was named
            raise ParameterError(f"out_dir {folder!r}: {word} is {others[word]!r}, expected what can name a folder")
    filled = re.sub(r"\{(\w+)\}", lambda match: _in_a_name(others[match[1]]), folder)
    return chosen | {"out_dir": filled}


def output_name(stem: str, chosen: Mapping[str, Value]) -> str:
    """The name of an executed notebook; what is too long for a file is cut, and told from others by a digest."""
    name = "_".join([stem, *(f"{key}-{_in_a_name(value)}" for key, value in chosen.items())])
    if len(name.encode()) <= LONGEST_NAME:
        return name
    short = name.encode()[: LONGEST_NAME - 17].decode(errors="ignore")
    return f"{short}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _in_a_name(value: Value) -> str:
    """The value as a part of a file's name; one that is a path, with what tells it from others that look like it."""
    text = str(value)
    safe = re.sub(r"[^A-Za-z0-9_.+-]", "-", text)
    return safe if safe == text else f"{safe.strip('-.')}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def execute(notebook: str | Path, output: str | Path, values: Mapping[str, Value]) -> None:
    """Run one notebook with these parameters. Raises NotebookError for a cell that fails or a kernel that dies, and
    ParameterError for parameters that it does not have.
    """
    papermill, notebook, output = _papermill(), as_path(notebook, NotebookError), as_path(output, NotebookError)
    known = parameters(notebook)
    values = {name: _find(notebook, known, name).check(value) for name, value in values.items()}
    with tempfile.TemporaryDirectory(prefix="rusr-") as folder:
        running = Path(folder) / "running.ipynb"
        try:
            with _declared_here():
                papermill.execute_notebook(
                    _load(notebook),
                    str(running).replace("{", "{{").replace("}", "}}"),  # papermill formats paths
                    parameters=values,
                    kernel_name="python3",
                    language="python",
                    kernel_manager_class=_this_interpreter(),
                    progress_bar=False,
                )
        except Exception as error:  # of a cell, of the kernel, of papermill: one line, and the notebook to look at
            failed = output.with_name(f"{output.stem}.failed.ipynb")
            seen = f"; {failed} shows where" if running.exists() else ""
            if running.exists():
                write_atomic(failed, running.read_bytes())
            raise NotebookError(f"{notebook.name}: {_reason(error)}{seen}") from error
        write_atomic(output, running.read_bytes())
    with suppress(FileNotFoundError):  # of an earlier try
        output.with_name(f"{output.stem}.failed.ipynb").unlink()


@contextmanager
def _declared_here() -> Iterator[None]:
    """Inside, papermill does not warn of parameters that it cannot find: it looks for them line by line, and knows no
    annotation such as `int | None`, while here every name and value was checked.
    """

    def true(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith(UNTRUE)

    loggers = [logging.getLogger(name) for name in ("papermill", "papermill.translators")]
    for logger in loggers:
        logger.addFilter(true)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(true)


def _reason(error: Exception) -> str:
    """What went wrong, in one line."""
    if hasattr(error, "ename"):  # a cell
        name, text = error.ename, error.evalue
    elif isinstance(error, RuntimeError) and "ernel" in str(error) + type(error).__name__:
        return "its kernel died (killed, or out of memory?)"
    else:
        name, text = type(error).__name__, str(error)
    return ": ".join([name, *text.strip().splitlines()[:1]])


def _this_interpreter() -> type:
    """A kernel manager that starts the interpreter that runs this program. A kernel called "python3" may be installed
    that belongs to another environment, or to none any more.
    """
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    if importlib.util.find_spec("ipykernel") is None:
        raise NotebookError(f"running notebooks needs ipykernel in {sys.executable}: pip install 'rusr[book]'")
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]

    class ThisInterpreter(AsyncKernelManager):
        @property
        def kernel_spec(self) -> KernelSpec:
            return KernelSpec(argv=command, display_name="Python 3", language="python")

    return ThisInterpreter


def _load(notebook: str | Path) -> object:
    """The notebook, said to be Python for python3 where it does not say so itself. Raises NotebookError."""
    _papermill()
    import nbformat

    notebook = as_path(notebook, NotebookError)
    if not notebook.is_file():
        raise NotebookError(f"{notebook}: {'is a folder' if notebook.is_dir() else 'no such notebook'}")
    try:
        found = nbformat.reads(notebook.read_text(encoding="utf-8"), as_version=4)
    except Exception as error:  # of JSON, of another version of the format, of a file that is something else
        raise NotebookError(f"{notebook}: not a notebook ({type(error).__name__})") from error
    spec, about = found.metadata.get("kernelspec", {}), found.metadata.get("language_info", {})
    language = spec.get("language") or about.get("name") or "python"
    if language.lower() not in ("python", "python3", "ipython"):
        raise NotebookError(f"{notebook}: is written in {language}, expected Python")
    found.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return found


def _find(notebook: Path, known: Mapping[str, Parameter], name: str) -> Parameter:
    if name not in known:
        expected = f"expected one of {', '.join(known)}" if known else "it has no cell with the tag parameters"
        raise ParameterError(f"{notebook.name} has no parameter {name}; {expected}")
    return known[name]


def _papermill() -> object:
    try:
        import papermill
    except ImportError as error:
        raise NotebookError("running notebooks needs papermill: pip install 'rusr[book]'") from error
    return papermill
