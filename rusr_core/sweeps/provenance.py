"""Where a number comes from: code, weights, machine. Recorded with every result; what must not mix is compared."""

import hashlib
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

import rusr_core

try:
    import resource
except ImportError:  # Windows
    resource = None

# Modules that change neither a restored pixel nor a score: they may change within one sweep.
PACKAGE = Path(rusr_core.__file__).resolve().parent
FRONT = (
    "figures/", "commands/", "metrics/report.py", "sweeps/recordings.py", "sweeps/workers.py", "sweeps/notebooks.py",
)  # fmt: skip


@cache
def code_digest() -> str:
    """SHA-256 of the library's source files, those of `FRONT` aside; the same in a checkout and in a wheel."""
    sha = hashlib.sha256()
    for path in sorted(PACKAGE.glob("**/*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(FRONT):
            sha.update(name.encode() + b"\0" + path.read_bytes())
    return sha.hexdigest()


def weights_digest(network: object) -> str | None:
    """SHA-256 of a network's tensors by name, wherever they came from; None for no network."""
    if not isinstance(network, nn.Module):
        return None if network is None else type(network).__qualname__
    sha = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\0".encode())
        sha.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return sha.hexdigest()


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


def provenance(device: torch.device) -> dict[str, object]:
    """Code, device and peak memory, as a record holds them."""
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name(device) if cuda else platform.processor() or platform.machine()
    memory = torch.cuda.max_memory_allocated(device) if cuda else peak_memory()
    return _machine() | {
        "device": str(device),
        "device_name": name,
        "dtype": "float32",
        "threads": torch.get_num_threads(),
        "peak_memory_mb": None if memory is None else round(memory / 2**20, 1),
    }


def peak_memory() -> int | None:
    """Bytes that this process has held at most, since it started; None where the system does not say."""
    if resource is None:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
