"""Hostile and damaged checkpoints: none runs anything, none takes much memory, each ends in one line of ours.

The files are read in a process of their own, a fork of one that has made the imports, with an audit hook that notes
every execution, import, write, socket and process, and with its address space limited to 200 MB more than it had.
"""

import io
import json
import os
import pickle
import re
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hostile_beside import beside_a_generator
from hostile_files import archive, calls_in_python, hostile
from sweep_world import SPAWNER

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc, limits the address space")

LIMIT = 200 * 2**20  # bytes that reading a hostile file may take
FORBIDDEN = (
    "exec",
    "compile",
    "import",
    "open-for-writing",
    "socket",
    "subprocess",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.remove",
    "os.rename",
    "os.mkdir",
    "shutil",
    "ctypes",
    "pickle.find_class",
    "urllib",
    "marshal",
)


# ---- the child: read every file of a folder, report what happened


def watched() -> tuple[list[str], Callable[[], None]]:
    """The forbidden events of this process from now on, and a function that ends the watch; a hook stays for ever."""
    events: list[str] = []
    watch = [True]

    def hook(event: str, args: tuple) -> None:
        if not watch:
            return
        if event == "open":
            mode, flags = args[1], args[2]
            writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            event = "open-for-writing" if writes or (isinstance(mode, str) and set(mode) & set("wax+")) else event
        if event.startswith(FORBIDDEN):
            events.append(f"{event} {args!r}"[:200])

    sys.addaudithook(hook)
    return events, watch.clear


def read_all(folder: Path, warm: Path) -> dict:
    """Read each file in this process; report its outcome, the events of the hook and the peak of memory."""
    import resource

    from rusr_core.checkpoints import CheckpointError, load_generator

    load_generator(warm)  # what the standard library imports late, is imported now
    zipfile.ZipFile(io.BytesIO(archive({"a": b"x"}))).infolist()
    files = sorted(folder.iterdir())
    events, stop = watched()
    with open("/proc/self/statm") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + LIMIT, resource.RLIM_INFINITY))
    before = peak_memory()
    outcomes = {}
    for file in files:
        try:
            load_generator(file)
            outcomes[file.name] = "loaded"
        except CheckpointError as error:
            outcomes[file.name] = f"refused: {error}"
        except BaseException as error:  # noqa: BLE001
            outcomes[file.name] = f"ESCAPED {type(error).__name__}: {error}"
    stop()
    grown = peak_memory() - before
    return {"outcomes": outcomes, "events": events, "grown": grown}


def peak_memory() -> int:
    """Peak resident memory of this process in bytes (ru_maxrss would begin with that of its parent)."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def in_child(folder: Path) -> dict:
    from conftest import random_generator

    from rusr_core.checkpoints import save_generator

    warm, report = (folder.with_name(name) for name in ("warm-up", "report.json"))
    save_generator(random_generator(), warm)
    child = SPAWNER.Process(target=write_report, args=(folder, warm, report))
    child.start()
    child.join(600)
    assert child.exitcode == 0, "it says why on stderr"
    return json.loads(report.read_text())


def write_report(folder: Path, warm: Path, report: Path) -> None:
    report.write_text(json.dumps(read_all(folder, warm)))


@pytest.mark.slow
def test_hostile_files_beside_a_generator(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    for label, content in beside_a_generator(tmp_path).items():
        (files / label).write_bytes(content)
    report = in_child(files)
    assert set(report["outcomes"].values()) == {"loaded"} and len(report["outcomes"]) == 12
    assert report["events"] == [] and not (tmp_path / "executed").exists()


@pytest.mark.slow
def test_hostile_files(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    written = hostile(tmp_path)
    for label, content in written.items():
        (files / label.replace("/", " ")).write_bytes(content)
    report = in_child(files)
    assert len(report["outcomes"]) == len(written) >= 25
    wrong = {k: v for k, v in report["outcomes"].items() if not v.startswith("refused: ")}
    assert not wrong
    assert all("\n" not in v and len(v) < 400 for v in report["outcomes"].values())
    assert report["events"] == []
    assert report["grown"] < LIMIT
    assert not (tmp_path / "executed").exists()


def test_the_files_are_live(tmp_path):
    """The same commands do run in Python's unpickler: the test above would notice."""
    pickle.loads(calls_in_python(tmp_path)["os.system, protocol 4"])
    assert (tmp_path / "executed").exists()


def good_file(kind: str, path: Path) -> bytes:
    """A small file of one of KINDS, written to `path` and beside it."""
    from checkpoint_writers import write_nvidia, write_rosinality
    from conftest import random_generator
    from stylegan3_examples import random_stylegan3
    from stylegan3_writers import write_stylegan3, write_stylegan_xl

    from rusr_core.checkpoints import save_generator

    family, _, form = kind.partition(", ")
    small = dict(z_dim=4, w_dim=4, mapping_layers=1)
    if family == "stylegan2":
        G = random_generator(resolution=4, channels=(3,), **small)
    else:
        G = random_stylegan3(kind="xl" if family == "stylegan-xl" else "r", channels=3, **small)
    pickled = {"stylegan2": write_nvidia, "stylegan3": write_stylegan3, "stylegan-xl": write_stylegan_xl}[family]
    writers = {"pickle": pickled, "safetensors": save_generator}
    writers |= {word: partial(write_rosinality, zipped=word == "zip") for word in ("zip", "stream")}
    writers[form](G, path)
    return path.read_bytes()


KINDS = ("stylegan2, zip", "stylegan2, stream")
KINDS += tuple(
    f"{name}, {form}" for name in ("stylegan2", "stylegan3", "stylegan-xl") for form in ("pickle", "safetensors")
)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_truncations_and_byte_flips(tmp_path, kind):
    """Truncations are all refused. Byte flips are each refused, or read as a file with another number."""
    import random

    files = tmp_path / "files"
    files.mkdir()
    good = good_file(kind, tmp_path / "good")
    draw = random.Random(kind)
    cuts, flips = 50, 250
    for i in range(cuts):
        (files / f"cut{i:04}").write_bytes(good[: draw.randrange(len(good))])
    for i in range(flips):
        position, bit = draw.randrange(len(good)), draw.randrange(8)
        changed = good[:position] + bytes([good[position] ^ 1 << bit]) + good[position + 1 :]
        (files / f"flip{i:04}").write_bytes(changed)
    report = in_child(files)
    outcomes = report["outcomes"]
    assert len(outcomes) == cuts + flips
    assert [v for v in outcomes.values() if v.startswith("ESCAPED")] == []
    assert [k for k, v in outcomes.items() if k.startswith("cut") and v == "loaded"] == []
    assert all("\n" not in v and len(v) < 400 for v in outcomes.values())
    assert report["events"] == [] and report["grown"] < LIMIT
    if kind.endswith("safetensors"):  # has a SHA-256: only padding and the word sha256 may change unnoticed
        assert sum(v == "loaded" for v in outcomes.values()) < 10
