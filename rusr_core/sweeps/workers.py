"""Running a plan: in this process, in worker processes, or on a Dask cluster. One loop over futures serves all three.

Workers agree through the folder alone (see `claims.claim`), so that runs on several machines with one shared folder
share the work too. Threads are divided among worker processes, and the GPUs of device "cuda" are dealt out in turn. A
Dask worker takes the config's device: start one for each GPU, with its own CUDA_VISIBLE_DEVICES.
"""

import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

import torch

from rusr_core.errors import RusrError, RusrWarning, shown_once
from rusr_core.limits import MAX_PROCESSES, check_whole
from rusr_core.sweeps.config import BenchmarkError, SweepConfig
from rusr_core.sweeps.plan import SweepPlan, WorkBatch
from rusr_core.sweeps.prepare import prepare, remaining
from rusr_core.sweeps.work import FAILED, TAKEN, run_batch

POLL = 0.2  # s between looks at batches that another run holds
HEARTBEAT = 5.0  # s between looks whether the cluster is alive, while no batch ends
CONNECT, WORKERS = 10, 300  # s until a Dask scheduler must answer, and until it must have a worker
AHEAD = 2  # batches handed out a worker, so that none waits for the next
# what a fork server imports once for all workers; the first optimiser of a process imports torch's compiler, which
# takes seconds
PRELOADED = [__name__, "torch._dynamo"]


@dataclass(frozen=True)
class SweepSummary:
    """How a run ended."""

    planned: int  # units
    before: int  # units that were done when it started
    failures: tuple[str, ...] = ()  # a line for each failure

    @property
    def ok(self) -> bool:
        return not self.failures


def run(
    config: SweepConfig,
    plan: SweepPlan,
    *,
    workers: int = 1,
    threads: int | None = None,
    scheduler: str | None = None,
    verify: bool = False,
    accept_code_change: bool = False,
    callback: Callable[[int, int], None] | None = None,
) -> SweepSummary:
    """Do what is left of a plan; returns when every unit is done or has failed.

    Args:
        workers: processes; 1 works in this one.
        threads: of each worker process; default: the cores divided among them. Dask's have their own: None.
        scheduler: of Dask, "tcp://host:port" with the workers that it has, or "local" for a LocalCluster of `workers`.
        verify: read every result whole, also those that have not been touched since they were written.
        accept_code_change: go on with results of another version of this library; each result names its own.
        callback: called with (units done or failed, units planned) at the start and after each batch.
    """
    check_processes(workers, threads, scheduler)
    here = "cpu" if scheduler else None  # the machine that hands out work may have no GPU
    prepare(config, plan, here, accept_code_change=accept_code_change)
    left = remaining(config.folder, plan, verify=verify)
    callback = callback or (lambda done, planned: None)
    before = done = len(plan) - sum(len(batch.images) for batch in left)
    callback(done, len(plan))
    failed: dict[WorkBatch, tuple[str, ...]] = {}
    while left:
        try:
            with executor(workers, threads, scheduler, config.device) as (pool, width, alive):
                for batch, outcome, failures in _outcomes(pool, width, config, left, alive):
                    done += len(batch.images)
                    if outcome == FAILED:
                        failed[batch] = failures
                    callback(done, len(plan))
            break
        except BrokenProcessPool as error:  # a worker was killed, for want of memory perhaps: new ones go on
            again = [batch for batch in remaining(config.folder, plan) if batch not in failed]
            if len(again) == len(left):
                raise BenchmarkError("worker processes die before a unit is done (out of memory?)") from error
            left, done = again, len(plan) - sum(len(batch.images) for batch in again)
    return SweepSummary(len(plan), before, tuple(line for failures in failed.values() for line in failures))


def _outcomes(
    pool: Executor, width: int, config: SweepConfig, batches: Iterable[WorkBatch], alive: Callable[[], bool]
) -> Iterator[tuple[WorkBatch, str, tuple[str, ...]]]:
    """Hand out batches, `width` at a time, and yield each with what became of it.

    Batches that another run holds are tried again when the rest is done: that run may finish them, or die. Futures of a
    cluster that is no longer `alive` would be waited for in vain.
    """
    queue, later, flying = deque(batches), deque(), {}
    while queue or later or flying:
        if not queue and not flying:
            time.sleep(POLL)
            queue, later = later, deque()
        while queue and len(flying) < width:
            batch = queue.popleft()
            flying[pool.submit(work, config, batch)] = batch
        finished, _ = wait(flying, timeout=HEARTBEAT, return_when=FIRST_COMPLETED)
        if not finished and not alive():
            raise BenchmarkError("the Dask scheduler is gone: start it again, then the same command, which resumes")
        for future in finished:
            batch = flying.pop(future)
            outcome, failures = _result(future, batch)
            if outcome == TAKEN:
                later.append(batch)
            else:
                yield batch, outcome, failures


def _result(future: Future, batch: WorkBatch) -> tuple[str, tuple[str, ...]]:
    try:
        return future.result()
    except (RusrError, BrokenProcessPool):  # a full disk: nothing more can be recorded; a worker died
        raise
    except Exception as error:  # Dask gives up on a batch whose workers die again and again
        return FAILED, (f"{batch}: {type(error).__name__}: {error}",)


def work(config: SweepConfig, batch: WorkBatch) -> tuple[str, tuple[str, ...]]:
    """What a worker does: a batch, on the worker's own device."""
    return run_batch(config, batch, own_device())


_DEVICE: str | None = None  # of this worker process; None: the config's


def own_device() -> str | None:
    """The device of this worker process; None for the config's."""
    return _DEVICE


class _Here(Executor):
    """An executor that works at once, in this process."""

    def submit(self, fn: Callable, /, *args: object, **kwargs: object) -> Future:
        future: Future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def executor(
    workers: int, threads: int | None, scheduler: str | None, device: str
) -> Iterator[tuple[Executor, int, Callable[[], bool]]]:
    """Start the workers: yields (executor, number of batches in flight, is_alive), where `is_alive()` tells whether
    the executor can still finish what it was given. Raises BenchmarkError for numbers that cannot be had.
    """
    check_processes(workers, threads, scheduler)
    if scheduler is not None:
        with _dask(scheduler, workers) as client:
            cores = sum(client.nthreads().values()) or 1
            yield client.get_executor(pure=False), AHEAD * cores, lambda: client.status == "running"
    elif workers == 1:
        with torch_threads(threads), warnings.catch_warnings():
            _warn_once()
            yield _Here(), 1, lambda: True
    else:
        # a fork of this process could use neither CUDA nor OpenMP; the fork server is a new one that imports torch once
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        threads = threads or max(1, cores_here() // workers)
        line, end = context.Pipe(duplex=False)  # closed here, by us or by our death, it ends the workers
        pool = ProcessPoolExecutor(workers, context, _begin, (context.Value("i", 0), line, threads, device))
        try:
            yield pool, AHEAD * workers, lambda: True  # a dead process breaks the pool, which says so
        except BaseException:  # Ctrl-C, a full disk: nobody waits for units under way, files are whole or absent
            end.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            end.close()
            line.close()


def check_processes(workers: int, threads: int | None, scheduler: str | None = None) -> None:
    """BenchmarkError unless so many workers with so many threads each (None: their share) can be started."""
    check_whole("workers", workers, 1, MAX_PROCESSES, BenchmarkError)
    if threads is not None:
        check_whole("threads", threads, 1, MAX_PROCESSES, BenchmarkError)
    if scheduler is not None and threads is not None:
        raise BenchmarkError(f"threads is {threads}: expected none with a Dask scheduler, whose workers have their own")
    if scheduler not in (None, "local") and workers != 1:
        raise BenchmarkError(f"workers is {workers}: expected none with {scheduler}, which has its own")


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """This process with another number of threads. Raises BenchmarkError."""
    check_processes(1, threads)
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cores_here() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _begin(counter: object, line: Connection, threads: int, device: str) -> None:
    """A worker process starts: its threads, its GPU, and its end when the parent dies or says so."""
    global _DEVICE
    with counter.get_lock():
        number, counter.value = counter.value, counter.value + 1
    torch.set_num_threads(threads)
    if device == "cuda":
        _DEVICE = f"cuda:{number % torch.cuda.device_count()}"
    _warn_once()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C reaches all processes: the parent decides
    threading.Thread(target=_end_with_parent, args=(line,), daemon=True).start()


def _warn_once() -> None:
    """What all units of a kind would repeat is said once a process."""
    warnings.showwarning = shown_once(RusrWarning, warnings.showwarning)


def _end_with_parent(line: Connection) -> None:
    line.poll(None)  # until its other end is closed
    os._exit(1)


@contextmanager
def _dask(scheduler: str, workers: int) -> Iterator[object]:
    """A Dask client; for "local" with a cluster of its own, one thread a worker."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise BenchmarkError("--scheduler needs Dask: pip install 'rusr[dask]'") from error
    if scheduler == "local":
        with LocalCluster(workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
            with Client(cluster) as client:
                yield client
        return
    try:
        client = Client(scheduler, timeout=CONNECT)
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"no Dask scheduler at {scheduler} ({error})") from error
    with client:
        client.wait_for_workers(1, timeout=WORKERS)
        yield client
