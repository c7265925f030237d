"""Workers: killed and resumed, several at once, on Dask; what comes out is what an undisturbed run gives.

The long kill test (50 rounds, worker processes) is `python -m benchmarks.kill`.
"""

import os
import random
import signal
import time
from dataclasses import replace

import pytest
from sweep_world import (
    QUICK,
    SPAWNER,
    config_of,
    contents,
    counting_run,
    hold,
    plan,
    results_in,
    run_with_errors_in,
    sweep,
    wait_for,
)

from rusr_core import baselines
from rusr_core.sweeps import BenchmarkError, Method, results, run
from rusr_core.sweeps import config as sweep_config
from rusr_core.sweeps.plan import WorkBatch
from rusr_core.sweeps.storage import read_record
from rusr_core.sweeps.work import run_batch

SLOW = tuple(Method(method.name, "sweep_world:slow") for method in QUICK)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(world, tmp_path_factory) -> dict[str, tuple]:
    """What the slow sweep gives when nobody disturbs it."""
    config = config_of(world, tmp_path_factory.mktemp("calm") / "out", methods=SLOW)
    assert run(config, sweep()).ok
    return contents(config.folder)


@pytest.fixture
def slow(config):
    return replace(config, methods=SLOW)


def wait_for_results(config, child, number: int) -> None:
    while child.exitcode is None and len(results_in(config.folder)) < number:
        time.sleep(0.005)


def test_killed_and_resumed(slow, undisturbed):
    """SIGKILL in the middle of the work, until a run comes through: nothing is missing, doubled or different."""
    moments = random.Random(0)
    for kills in range(1, 3):
        child = SPAWNER.Process(target=run, args=(slow, sweep()))
        child.start()
        wait_for_results(slow, child, 4 * kills)
        time.sleep(moments.uniform(0, 0.03))
        assert child.exitcode is None, "killed at work"
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert None not in [read_record(path) for path in results_in(slow.folder)], "a half-written result"
    summary = run(slow, sweep())
    assert summary.ok and 8 <= summary.before < 12
    assert contents(slow.folder) == undisturbed and len(results.rows(slow.folder)) == 12


def test_compared_methods_are_killed_and_resumed(config, tmp_path):
    """Two rivals, killed at work: nothing is lost, nothing that was whole is done again, and all is as undisturbed."""
    methods = tuple(Method(name, baselines.find(name, 2)) for name in ("brgm", "pti"))
    units = plan(3, methods=("brgm", "pti"))
    calm, harsh = (replace(config, folder=tmp_path / word, methods=methods) for word in ("calm", "harsh"))
    assert run(calm, units).ok
    child = SPAWNER.Process(target=run, args=(harsh, units))
    child.start()
    wait_for_results(harsh, child, 4)
    assert child.exitcode is None, "killed at work"
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    whole = {path: path.stat().st_mtime_ns for path in results_in(harsh.folder)}
    summary = run(harsh, units)
    assert summary.ok and 4 <= summary.before == len(whole) < 12
    assert {path: path.stat().st_mtime_ns for path in whole} == whole
    assert contents(harsh.folder) == contents(calm.folder) and len(results.rows(harsh.folder)) == 12


@pytest.mark.parametrize("threads", [1, 2])
def test_two_at_once_do_nothing_twice(threads, config, tmp_path):
    """Two processes of one thread and of two threads on one folder, started at the same moment."""
    shared = replace(config, methods=tuple(Method(m.name, "sweep_world:counted") for m in config.methods))
    arguments = (shared, sweep(), tmp_path / "counts", threads, 2)
    children = [SPAWNER.Process(target=counting_run, args=arguments) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    lines = (tmp_path / "counts").read_text().split()
    assert len(lines) == 12 and len(set(lines)) == 2, "both were to have a share of the 12"
    assert len(results.rows(config.folder)) == 12


def test_worker_processes_are_replaced_and_end_with_their_parent(slow, undisturbed):
    """A worker is killed: a new one goes on. Their parent is killed: they end too, and the sweep can be resumed."""
    psutil = pytest.importorskip("psutil")
    child = SPAWNER.Process(target=run, args=(slow, sweep()), kwargs={"workers": 2})
    child.start()
    wait_for_results(slow, child, 1)
    workers_of(psutil.Process(child.pid))[0].kill()
    wait_for_results(slow, child, len(results_in(slow.folder)) + 5)  # more than were under way
    workers = workers_of(psutil.Process(child.pid))
    assert child.exitcode is None, "the run went on"
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive
    assert 0 < run(slow, sweep()).before
    assert contents(slow.folder) == undisturbed


def workers_of(run) -> list:
    """Its worker processes, the children of its fork server."""
    servers = [p for p in run.children() if "forkserver" in " ".join(p.cmdline())]
    found = [p for server in servers for p in server.children() if p.status() != "zombie"]
    assert len(found) == 2
    return found


def test_a_dask_cluster_gives_the_same(slow, undisturbed):
    distributed = pytest.importorskip("distributed")
    options = {"processes": False, "dashboard_address": None, "protocol": "tcp", "host": "127.0.0.1"}
    with distributed.LocalCluster(1, threads_per_worker=2, **options) as cluster:
        summary = run(slow, sweep(), scheduler=cluster.scheduler_address)
    assert summary.ok and contents(slow.folder) == undisturbed
    with pytest.raises(BenchmarkError, match="no Dask scheduler at tcp://127.0.0.1:9"):
        run(slow, plan(3, 3), scheduler="tcp://127.0.0.1:9")


def test_a_held_unit_is_waited_for(config):
    wanted = plan(1, names=("denoising:M",))
    run(config, replace(wanted, methods=("drawn",)))  # makes the folder
    holder = SPAWNER.Process(target=hold, args=(config.folder, "units/plain/N-M/000_0.png"))
    holder.start()
    wait_for(config.folder / "held")
    batch = WorkBatch("plain", wanted.tasks[0], 0, ("000",))
    assert run_batch(config, batch) == ("taken", ())
    os.kill(holder.pid, signal.SIGKILL)
    holder.join()
    assert run(config, wanted).ok and len(results.rows(config.folder)) == 2


def test_threads_that_start_together_load_the_networks_once(config, monkeypatch):
    from concurrent.futures import ThreadPoolExecutor

    loaded, genuine = [], sweep_config.load_prior

    def load_prior(*arguments, **options):
        loaded.append(arguments)
        time.sleep(0.05)  # long enough for the others to come
        return genuine(*arguments, **options)

    monkeypatch.setattr(sweep_config, "load_prior", load_prior)
    sweep_config._networks.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(sweep_config.load, [config] * 4))
    assert len(loaded) == 1 and all(networks is found[0] for networks in found)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_every_unit_would_say_is_said_once_a_process(config, workers, tmp_path):
    warning = replace(config, methods=(Method("plain", "sweep_world:warns"),))
    words = (warning, plan(3, methods=("plain",)), workers, tmp_path / "errors")
    child = SPAWNER.Process(target=run_with_errors_in, args=words)
    child.start()
    child.join()
    assert child.exitcode == 0
    assert 1 <= (tmp_path / "errors").read_text().count("RusrWarning: said of each image") <= workers
