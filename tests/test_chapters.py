"""The installed wheel, outside the clone: it restores a picture, and runs every chapter with other parameters.

nbval runs the chapters as they stand, in the clone (`make test`); here nothing but the wheel is on the path. The first
chapter runs as a reader runs it, by `rusr papermill`, the others in forks of one process (tests/chapter_server.py).
"""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from chapter_server import ChapterServer

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
OTHERS = {"task": "denoising", "level": "S", "steps": 1, "num_images": 2, "seed": 5}  # no chapter has one of these


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """`installed(folder, *words)` runs `python WORDS` in a folder, where `rusr_core` is the one of a new wheel."""
    place = tmp_path_factory.mktemp("wheel")
    site = place / "site"
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = place.glob("*.whl")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(site)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1"}

    def run(folder: Path, *words: str) -> str:
        done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout.strip()

    found = run(place, "-c", "from importlib.util import find_spec; print(find_spec('rusr_core').origin)")
    assert Path(found).is_relative_to(site)
    run.site = site
    run.environment = environment
    return run


@pytest.fixture(scope="session")
def chapters(installed, tmp_path_factory):
    """The server that runs chapters with the `rusr_core` of the new wheel."""
    server = ChapterServer(installed.environment, tmp_path_factory.mktemp("server"))
    yield server
    server.close()


RUSR = ("-c", "import sys; from rusr_core.commands import main; sys.exit(main(sys.argv[1:]))")


# run as a chapter is, since each start of a process costs seconds of CPU
PICTURE = """
import rusr_core as rusr
from rusr_core import metrics
from rusr_core.commands import main

words = ["--task", "inpainting", "--level", "M"]
assert main(["degrade", portrait, "damaged.png", *words]) == 0
assert main(["restore", "damaged.png", "restored.png", *words, "--steps", "2"]) == 0
truth, *found = map(rusr.load_image, [portrait, "damaged.png", "restored.png"])
print(*(float(metrics.lpips(x, truth)) for x in found), file=open("scores.txt", "w"))
"""


@pytest.mark.slow
def test_a_picture_is_restored_from_the_wheel(installed, chapters, tmp_path):
    portrait = installed.site / "rusr_core/_data/portraits/test/000.png"
    chapters.run(small(tmp_path, 'portrait: str = ""', PICTURE), {"portrait": str(portrait)}, tmp_path)
    damaged, restored = map(float, (tmp_path / "scores.txt").read_text().split())
    assert restored < damaged


@pytest.mark.slow
def test_a_chapter_runs_from_the_wheel_by_papermill(installed, tmp_path):
    values = OTHERS | {"out_dir": str(tmp_path / "saved")}
    words = [word for name, value in values.items() for word in ("-p", f"{name}={value}")]
    installed(tmp_path, *RUSR, "papermill", str(ROOT / "book/start.ipynb"), "out", *words)
    assert len(list((tmp_path / "saved").glob("*-S-*.png"))) == 8  # two a task


@pytest.mark.slow
@pytest.mark.parametrize("chapter", [path for path in CHAPTERS if path.stem != "start"], ids=lambda path: path.stem)
def test_chapter_runs_from_the_wheel(chapter, chapters, tmp_path):
    chapters.run(chapter, OTHERS | {"out_dir": str(tmp_path / "saved")}, tmp_path)


def small(folder: Path, *sources: str) -> Path:
    """A chapter whose parameters are in the first of its cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "small.ipynb")
    return folder / "small.ipynb"


@pytest.mark.slow
def test_a_cell_that_fails_is_shown(chapters, tmp_path):
    chapter = small(tmp_path, "steps: int = 3", "print(steps + 1)", "def f():\n    assert steps > 5\nf()")
    assert "7" in chapters.run(chapter, {"steps": 6}, tmp_path).split()
    with pytest.raises(AssertionError) as failure:
        chapters.run(chapter, {"steps": 4}, tmp_path)
    said = str(failure.value)
    assert said.startswith("small.ipynb: 1\n5\n") and "AssertionError" in said
    assert "----> 2     assert steps > 5" in said
    assert said.endswith("cell 2 of small.ipynb failed\n")


@pytest.mark.slow
def test_nothing_of_a_chapter_reaches_the_next(chapters, tmp_path):
    show = "import matplotlib, os, sys, torch\nprint(torch.initial_seed(), matplotlib.rcParams['figure.dpi'], "
    show += "torch.get_num_threads(), len(os.listdir('/proc/self/task')), os.getenv('LEFT'), 'left' in sys.modules)"
    disturb = "torch.manual_seed(7)\nmatplotlib.rcParams['figure.dpi'] = 9\ntorch.set_num_threads(2)\n"
    disturb += "os.environ['LEFT'] = 'x'\nsys.modules['left'] = sys\nx = torch.ones(9, requires_grad=True)\n"
    disturb += "x.sum().backward()\nassert len(os.listdir('/proc/self/task')) > 1  # PyTorch's own threads"
    first = chapters.run(small(tmp_path, "", show, disturb), {}, tmp_path)
    assert chapters.run(small(tmp_path, "", show), {}, tmp_path) == first
    assert first.endswith(" 1 1 None False\n")


@pytest.mark.slow
def test_a_chapter_that_is_late_is_ended_with_its_programs(chapters, tmp_path):
    lines = "import pathlib, subprocess, sys, time\nprogram = subprocess.Popen([sys.executable, '-c', 'input()'],"
    lines += " stdin=subprocess.PIPE)\npathlib.Path('pid').write_text(str(program.pid))\ntime.sleep(60)"
    with pytest.raises(AssertionError, match=r"small.ipynb: not done after 1.5 s"):
        chapters.run(small(tmp_path, "", lines), {}, tmp_path, seconds=1.5)
    program = Path("/proc") / (tmp_path / "pid").read_text() / "stat"
    assert not program.exists() or ") Z " in program.read_text()  # a zombie where nobody collects orphans
    assert chapters.run(small(tmp_path, "", "print('next')"), {}, tmp_path) == "next\n"
