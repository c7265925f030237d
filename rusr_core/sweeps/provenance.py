"""Where a number comes from: code, weights, machine. Recorded with every result; what must not mix is compared."""

import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch

import rusr_core
from rusr_core.arithmetic import description
from rusr_core.own_code import digest_of_sources

try:
    import resource
except ImportError:  # Windows
    resource = None

PACKAGE = Path(rusr_core.__file__).resolve().parent

# Folders and modules that change no pixel of a restoration and no score of a unit: they may change within one sweep.
WITHOUT_EFFECT_ON_UNITS = (
    "__main__.py",
    "app/",
    "citations.py",
    "commands/",
    "figures/",
    "photos/",
    "metrics/intervals.py",
    "metrics/realism.py",
    "metrics/report.py",
    "own_code.py",
    "priors/downloads.py",
    "sweeps/ablations.py",
    "sweeps/claims.py",
    "sweeps/costs.py",
    "sweeps/findings.py",
    "sweeps/methods.py",
    "sweeps/notebooks.py",
    "sweeps/paired.py",
    "sweeps/parameters.py",
    "sweeps/recordings.py",
    "sweeps/results.py",
    "sweeps/rivals.py",
    "sweeps/stamps.py",
    "sweeps/trials.py",
    "sweeps/tuned_files.py",
    "sweeps/tuning.py",
    "sweeps/workers.py",
)


@cache
def code_digest() -> str:
    """SHA-256 of the library's source, without what has no effect on units; the same in a checkout and in a wheel.

    Each module counts by its path in the package and by its syntax tree: comments, docstrings and layout may change.
    """
    names = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.glob("**/*.py"))
    used = [name for name in names if not name.startswith(WITHOUT_EFFECT_ON_UNITS)]
    return digest_of_sources((name, (PACKAGE / name).read_bytes()) for name in used)


@cache
def commit() -> str | None:
    """The checkout's commit, with "+" if files differ from it; None outside a checkout."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        done = subprocess.run(("git", "-C", str(here), *words), capture_output=True, text=True, timeout=20, check=True)
        return done.stdout.strip()

    try:
        if git("ls-files", "--error-unmatch", Path(__file__).name) == "":
            return None
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None


@cache
def _machine() -> dict[str, str | None]:
    return {
        "version": rusr_core.__version__,
        "commit": commit(),
        "code": code_digest(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
    }


def provenance(device: torch.device, dtype: torch.dtype, arithmetic: str) -> dict[str, object]:
    """Code, machine and arithmetic, as a record holds them."""
    cuda = device.type == "cuda"
    tf32 = cuda and description()["tf32"]  # what 32-bit convolutions and products are computed in
    return _machine() | {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if cuda else processor(),
        "dtype": "tf32" if tf32 else str(dtype).removeprefix("torch."),
        "arithmetic": arithmetic,
        "threads": torch.get_num_threads(),
    }


@cache
def processor() -> str:
    """The processor's name; Linux tells it in /proc/cpuinfo only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def start_of_peak(device: torch.device) -> None:
    """Start to watch the memory that a unit takes, where that can be done (on CUDA)."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> dict[str, float]:
    """Peak memory in MB as a record holds it.

    On CUDA `peak_memory_mb`, what was allocated since `start_of_peak`, by all threads of this process. Elsewhere
    `process_peak_memory_mb`, what this process has held at most since it began: nobody can ask for less.
    """
    if device.type == "cuda":
        return {"peak_memory_mb": round(torch.cuda.max_memory_allocated(device) / 2**20, 1)}
    peak = process_peak_memory()
    return {} if peak is None else {"process_peak_memory_mb": round(peak / 2**20, 1)}


def process_peak_memory() -> int | None:
    """Bytes that this process has held at most, since it started; None where the system does not say."""
    if resource is None:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def circumstances(device: str, arithmetic: str, batch_size: int) -> dict[str, object]:
    """What results depend on beside what is measured: code, libraries, device, arithmetic, images at once."""
    return {
        "version": rusr_core.__version__,
        "code": code_digest(),
        "torch": torch.__version__,
        "device": torch.device(device).type,
        "arithmetic": arithmetic,
        "batch_size": batch_size,
    }
