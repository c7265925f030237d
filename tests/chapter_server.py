"""The cells of a chapter, run in a fork of one process that already holds what every chapter imports.

A kernel of its own costs a chapter several seconds of CPU before its first cell. `python chapter_server.py` imports
PyTorch, the library, Matplotlib and IPython once; then each line of its standard input, a JSON object, names a
chapter, and the chapter runs in a fork: a new process in a folder of its own, which shows what its cells give as
IPython does, and draws Matplotlib's figures as they are drawn in a notebook. The server itself never computes, so
that no chapter finds a random state, a style, or a thread of another. `ChapterServer` is the tests' side.
"""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

# jsonschema, which nbformat imports, would read a grammar of IRIs, which no notebook has: two seconds of a core
sys.modules.setdefault("rfc3987_syntax", None)
PRELOADED = ["rusr_core.figures.charts", "rusr_core.commands", "rusr_core.sweeps", "torchvision", "scipy.stats"]
PRELOADED += ["IPython.core.interactiveshell", "matplotlib_inline.backend_inline", "ipywidgets", "nbformat"]


class ChapterServer:
    """A server that is started with an environment, which says where its `rusr_core` is."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            cwd=folder,
            text=True,
        )

    def run(self, path: Path, values: Mapping[str, object], folder: Path, seconds: float = 300) -> str:
        """What a chapter says with these parameters; AssertionError with the end of it if a cell fails or is late."""
        said = folder / "said.txt"
        job = {"path": str(path), "values": dict(values), "folder": str(folder), "said": str(said), "seconds": seconds}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        text = said.read_text(encoding="utf-8") if said.exists() else ""
        assert answer == "0", f"{path.name}: {answer or 'the server ended'}\n{text[-5000:]}"
        return text

    def close(self) -> None:
        """End the server, which has no chapter running."""
        self.process.stdin.close()
        self.process.wait()


def preload(*names: str) -> None:
    """Import modules; a second time costs nothing."""
    for name in names:
        importlib.import_module(name)


def settle(folder: str, output: str = os.devnull) -> None:
    """In a new process: a session of its own, nothing to read, `output` for all that is printed, and its folder."""
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(written, stream)
    os.chdir(folder)


def _serve() -> None:
    """Answer each line of the standard input with the exit status of its chapter, or the reason why it has none."""
    preload(*PRELOADED)
    for line in sys.stdin:
        job = json.loads(line)
        threads = len(os.listdir("/proc/self/task")) if os.path.exists("/proc/self/task") else 1
        answer = _fork(job) if threads == 1 else f"the server has {threads} threads, which no fork would have"
        print(answer, flush=True)


def _fork(job: dict) -> str:
    """Run a job in a new process; when its time is up, end it and the programs that it started."""
    child = os.fork()
    if child == 0:
        _run(job)
    deadline = time.monotonic() + job["seconds"]
    try:
        while time.monotonic() < deadline:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                child = None
                return str(os.waitstatus_to_exitcode(status))
            time.sleep(0.02)
        return f"not done after {job['seconds']} s"
    finally:  # also when the tests are interrupted
        if child is not None:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _run(job: dict) -> None:
    """In the new process, which ends here; its exit status is 0 if all cells ran."""
    status = 1
    try:
        settle(job["folder"], job["said"])
        status = _run_cells(Path(job["path"]), job["values"])
    except BaseException as error:  # nothing of the new process may go on in the server's loop
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run_cells(path: Path, values: Mapping[str, object]) -> int:
    """Run the cells in order, the values after the parameters' cell; 1 after the first that fails."""
    import matplotlib
    import nbformat
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    matplotlib.use("module://matplotlib_inline.backend_inline")
    shell = InteractiveShell.instance(colors="nocolor", config=Config({"HistoryManager": {"enabled": False}}))
    given = "\n".join(f"{name} = {value!r}" for name, value in values.items())
    for number, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type != "code":
            continue
        sources = [cell.source, given] if "parameters" in cell.metadata.get("tags", []) else [cell.source]
        if not all(shell.run_cell(source).success for source in sources):  # it has shown the traceback
            print(f"cell {number} of {path.name} failed")
            return 1
    return 0


if __name__ == "__main__":
    _serve()
