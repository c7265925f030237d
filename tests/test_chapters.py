"""The installed wheel, outside the clone: it restores a picture, and runs every chapter with other parameters.

nbval runs the chapters as they stand, in the clone (`make test`); here nothing but the wheel is on the path.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book").glob("*.ipynb"))
OTHERS = {"task": "denoising", "level": "S", "steps": 4, "num_images": 2, "seed": 5}  # no chapter has one of these


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

    assert Path(run(place, "-c", "import rusr_core; print(rusr_core.__file__)")).is_relative_to(site)
    run.site = site
    return run


RUSR = ("-c", "import sys; from rusr_core.commands import main; sys.exit(main(sys.argv[1:]))")


@pytest.mark.slow
def test_a_picture_is_restored_from_the_wheel(installed, tmp_path):
    portrait = installed.site / "rusr_core/_data/portraits/test/000.png"
    words = ("--task", "inpainting", "--level", "M")
    installed(tmp_path, *RUSR, "degrade", str(portrait), "damaged.png", *words)
    installed(tmp_path, *RUSR, "restore", "damaged.png", "restored.png", *words, "--steps", "2")
    measure = "import rusr_core as rusr; from rusr_core import metrics; a, b, c = map(rusr.load_image, {0}); print({1})"
    paths = [str(portrait), "damaged.png", "restored.png"]
    scores = "*[float(metrics.lpips(x, a)) for x in (b, c)]"
    damaged, restored = map(float, installed(tmp_path, "-c", measure.format(paths, scores)).split())
    assert restored < damaged


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_runs_from_the_wheel(chapter, installed, tmp_path):
    values = OTHERS | {"out_dir": str(tmp_path / "saved")}
    words = [word for name, value in values.items() for word in ("-p", f"{name}={value}")]
    installed(tmp_path, *RUSR, "papermill", str(chapter), "out", *words)
    if chapter.stem == "start":
        assert len(list((tmp_path / "saved").glob("*-S-*.png"))) == 8  # four tasks, two portraits
