"""Kernels for nbval, each a fork of one process that already holds what every chapter imports.

A kernel of its own costs a chapter several seconds of CPU before its first cell. `pytest --nbval-kernel-name=preloaded`
finds the kernel specification of tests/jupyter, whose program (start.py there) asks this server for a kernel: a fork
with the environment and the folder that Jupyter chose, which then is an ordinary ipykernel. One connection joins the
two, so that neither outlives the other; no kernel outlives the server either, whose process ipykernel takes for its
parent. The server imports when the first kernel is wanted, and never computes.
"""

import json
import os
import select
import socket
import subprocess
import sys
import threading
from pathlib import Path

from chapter_server import PRELOADED, preload, settle

SPECIFICATIONS = Path(__file__).parent / "jupyter"
NAME = "preloaded"


class KernelServer:
    """A server in a folder, where `environment` of a process that starts kernels leads to it."""

    def __init__(self, folder: Path, *imports: str) -> None:
        """`imports`: what the server imports before its first kernel; by default what every chapter does."""
        place = folder / "kernels.sock"
        self.environment = {"RUSR_KERNELS": str(place), "JUPYTER_PATH": str(SPECIFICATIONS)}
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(place), *imports], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def close(self) -> None:
        """End the server, and the kernels that are left."""
        self.process.stdin.close()
        self.process.wait()


def _serve(place: str, *imports: str) -> None:
    """A kernel for each connection, until the standard input ends."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        listener.listen()
        print("ready", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            preload(*(imports or (*PRELOADED, "ipykernel.kernelapp")))
            if os.fork() == 0:
                listener.close()
                _kernel(connection)
            connection.close()
            _collect()


def _collect() -> None:
    """Take the exit status of the kernels that have ended."""
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:  # there is none left
        pass


def _kernel(connection: socket.socket) -> None:
    """In the new process, which ends here: the kernel that was asked for."""
    try:
        job = json.loads(connection.makefile().readline())
        settle(job["folder"])
        os.environ.clear()
        os.environ.update(job["environment"])
        threading.Thread(target=_end_with, args=[connection], daemon=True).start()
        from ipykernel.kernelapp import IPKernelApp

        IPKernelApp.launch_instance(["-f", job["file"]])
    finally:
        os._exit(0)


def _end_with(connection: socket.socket) -> None:
    connection.recv(1)
    os._exit(1)


if __name__ == "__main__":
    # what Matplotlib and ipykernel read when they are imported
    os.environ |= {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "JPY_PARENT_PID": str(os.getpid())}
    _serve(*sys.argv[1:])
