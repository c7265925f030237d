"""Processes that share a GPU through NVIDIA's MPS (benchmarks/README.md)."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def sharing(folder: Path) -> Iterator[None]:
    """Inside, processes share the card, if the daemon is installed; it keeps its pipes and logs in `folder`."""
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        yield
        return
    folder.mkdir(exist_ok=True)
    os.environ.update(CUDA_MPS_PIPE_DIRECTORY=str(folder), CUDA_MPS_LOG_DIRECTORY=str(folder))
    subprocess.run([control, "-d"], check=False, capture_output=True)
    try:
        yield
    finally:
        subprocess.run([control], input=b"quit\n", check=False, capture_output=True, timeout=30)
