"""The kernels that `make test` gives to nbval: forks, and yet like any other kernel (tests/kernel_server.py)."""

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.manager import KernelManager, start_new_kernel
from kernel_server import NAME, KernelServer

pytestmark = pytest.mark.slow
SHOW = "import os, sys, matplotlib, torch\nprint(os.getcwd(), os.environ['SEEN'], torch.initial_seed(), "
SHOW += "matplotlib.get_backend(), os.getenv('LEFT'), 'left' in sys.modules, torch.ones(2, 2).mm(torch.eye(2))[0, 0])"
DISTURB = "torch.manual_seed(7); os.environ['LEFT'] = 'x'; sys.modules['left'] = sys; os.chdir('/')"


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> Iterator[dict[str, str]]:
    if {"RUSR_KERNELS", "JUPYTER_PATH"} <= os.environ.keys():  # the one that nbval has: it has made the imports
        yield os.environ | {"SEEN": "yes"}
        return
    server = KernelServer(tmp_path_factory.mktemp("kernels"))
    yield os.environ | server.environment | {"SEEN": "yes"}
    server.close()


@pytest.fixture
def start(environment, tmp_path, monkeypatch):
    """`start()` gives a kernel's manager, and a function that runs code in it and gives what was printed."""
    monkeypatch.setenv("JUPYTER_PATH", environment["JUPYTER_PATH"])
    managers: list[KernelManager] = []

    def begin():
        manager, client = start_new_kernel(kernel_name=NAME, cwd=tmp_path, env=environment)
        managers.append(manager)

        def run(code: str) -> str:
            said: list[str] = []
            client.execute_interactive(code, timeout=60, output_hook=lambda message: said.append(_text(message)))
            return "".join(said)

        return manager, run

    yield begin
    for manager in managers:
        manager.shutdown_kernel(now=True)


def _text(message: dict) -> str:
    content = message["content"]
    return content.get("text") or content.get("ename", "") if message["msg_type"] in ("stream", "error") else ""


def gone(pid: str) -> bool:
    """Whether a process has ended, after at most ten seconds."""
    status = Path("/proc") / pid / "stat"
    for _ in range(200):
        if not status.exists() or ") Z " in status.read_text():
            return True
        time.sleep(0.05)
    return False


def test_each_kernel_is_as_if_it_were_the_first(start, tmp_path):
    _, first = start()
    said = first(SHOW)
    assert said.startswith(f"{tmp_path} yes ") and said.endswith("inline None False tensor(1.)\n")
    assert first(DISTURB) == "" and first("1 / 0") == "ZeroDivisionError"
    assert start()[1](SHOW) == said


def test_a_kernel_that_is_shut_down_or_killed_ends(start):
    for now in (False, True):
        manager, run = start()
        pid = run("import os; print(os.getpid())").strip()
        assert int(pid) != manager.provisioner.pid  # what Jupyter started only waits for it
        manager.shutdown_kernel(now=now)
        assert gone(pid)


def test_a_cell_is_interrupted(start):
    manager, run = start()
    threading.Timer(1, manager.interrupt_kernel).start()
    assert run("import time; time.sleep(50)") == "KeyboardInterrupt"
    assert run("print('next')") == "next\n"


def test_kernels_end_with_their_server(start, tmp_path_factory):
    server = KernelServer(tmp_path_factory.mktemp("other"), "ipykernel.kernelapp")
    environment = os.environ | server.environment
    manager, client = start_new_kernel(kernel_name=NAME, env=environment)
    said = []
    client.execute_interactive("import os; print(os.getpid())", output_hook=lambda message: said.append(_text(message)))
    server.close()
    assert gone("".join(said).strip())
    client.stop_channels()
    manager.shutdown_kernel(now=True)
