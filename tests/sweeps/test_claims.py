"""Claims: held by one thread of one process, gone with it, and never a false alarm."""

import errno
import fcntl
import os
import shutil
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sweep_world import SPAWNER, hold, wait_for

from rusr_core.sweeps import claims
from rusr_core.sweeps.claims import StorageError, claim


@pytest.mark.slow
def test_threads_and_processes_are_told_apart(tmp_path):
    with claim(tmp_path, "a") as mine, claim(tmp_path, "b") as other:
        assert mine and other
        with claim(tmp_path, "a") as again:
            assert not again, "threads of one process are told apart"
        child = SPAWNER.Process(target=_expect, args=(tmp_path, [("a", False), ("b", False), ("c", True)]))
        child.start()
        child.join()
        assert child.exitcode == 0
    with claim(tmp_path, "a") as mine:
        assert mine


def _expect(folder: Path, expected: list[tuple[str, bool]]) -> None:
    for name, free in expected:
        with claim(folder, name) as mine:
            assert mine == free


def test_a_claim_ends_with_its_process(tmp_path):
    holder = SPAWNER.Process(target=hold, args=(tmp_path, "a"))
    holder.start()
    wait_for(tmp_path / "held")
    with claim(tmp_path, "a") as mine:
        assert not mine
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    with claim(tmp_path, "a", wait=True) as mine:
        assert mine


@pytest.mark.slow
def test_two_processes_of_two_threads_that_wait_crosswise_are_no_deadlock(tmp_path):
    """A holds one name and waits in another thread for B's, B the other way round: the kernel would cry EDEADLK."""
    children = [SPAWNER.Process(target=_crosswise, args=(tmp_path, i)) for i in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]


def _crosswise(folder: Path, number: int) -> None:
    for turn in range(20):
        names = [f"{turn}-{number}", f"{turn}-{1 - number}"]
        waiting = threading.Event()

        def wait(name: str = names[1], waiting: threading.Event = waiting) -> bool:
            waiting.set()
            with claim(folder, name, wait=True) as mine:
                return mine

        with ThreadPoolExecutor(1) as pool:
            with claim(folder, names[0], wait=True):
                (folder / f"holds-{names[0]}").touch()
                wait_for(folder / f"holds-{names[1]}")
                found = pool.submit(wait)
                waiting.wait()
                time.sleep(0.03)  # both are waiting now
            assert found.result(30)


@pytest.mark.parametrize("inside", [True, False])
def test_an_interruption_while_waiting_leaves_nothing_claimed(tmp_path, monkeypatch, inside):
    """Ctrl-C while the claim is held by another process, or by another thread of this one."""

    def interrupt(*_):
        raise KeyboardInterrupt

    if inside:
        monkeypatch.setattr(claims.time, "sleep", interrupt)
        monkeypatch.setattr(claims.fcntl, "lockf", _busy)
        with pytest.raises(KeyboardInterrupt), claim(tmp_path, "a", wait=True):
            pass
        monkeypatch.undo()
    else:
        monkeypatch.setattr(threading.Condition, "wait", interrupt)
        with claim(tmp_path, "a"):
            with pytest.raises(KeyboardInterrupt), claim(tmp_path, "a", wait=True):
                pass
        monkeypatch.undo()
    with claim(tmp_path, "a") as mine:
        assert mine, "free again for this process"


def _busy(*_):
    raise BlockingIOError(errno.EAGAIN, "held")


@pytest.mark.parametrize(
    "number, message", [(errno.ENOLCK, "this file system has no locks"), (errno.EIO, "cannot be locked")]
)
def test_only_what_means_it_is_called_a_file_system_without_locks(tmp_path, monkeypatch, number, message):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(claims.fcntl, "lockf", refuse)
    with pytest.raises(StorageError, match=message), claim(tmp_path, "a"):
        pass
    monkeypatch.undo()
    with claim(tmp_path, "a") as mine:
        assert mine


def test_a_deadlock_that_the_kernel_sees_is_asked_again(tmp_path, monkeypatch):
    calls, genuine = [], fcntl.lockf

    def lockf(*arguments):
        calls.append(arguments)
        if len(calls) == 1:
            raise OSError(errno.EDEADLK, os.strerror(errno.EDEADLK))
        genuine(*arguments)

    monkeypatch.setattr(claims.fcntl, "lockf", lockf)
    with claim(tmp_path, "a", wait=True) as mine:
        assert mine and len(calls) == 2


def test_a_folder_that_is_made_again_has_claims_of_its_own(tmp_path):
    """Deleted and made again in one process (a notebook): the claims are on the new file, which others see."""
    folder = tmp_path / "out"
    with claim(folder, "a"):
        pass
    shutil.rmtree(folder)
    with claim(folder, "a") as mine:
        assert mine
        child = SPAWNER.Process(target=_expect, args=(folder, [("a", False)]))
        child.start()
        child.join()
        assert child.exitcode == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_child_holds_nothing_and_harms_nothing(tmp_path):
    with claim(tmp_path, "a"):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                with claim(tmp_path, "a") as mine, claim(tmp_path, "b") as other:
                    status = 0 if (mine, other) == (False, True) else 1
            finally:
                os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        again = SPAWNER.Process(target=_expect, args=(tmp_path, [("a", False), ("b", True)]))
        again.start()
        again.join()
        assert again.exitcode == 0, "the child's end did not drop the parent's claim"
