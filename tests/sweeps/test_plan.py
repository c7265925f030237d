"""Plans, the names in them, and folders of test images."""

from pathlib import Path

import pytest
from PIL import Image

from rusr_core import baselines, tasks
from rusr_core.errors import RusrError
from rusr_core.sweeps import BenchmarkError, ImageFolder, Method, SweepPlan, parse_methods, parse_tasks
from rusr_core.sweeps.plan import PlanError


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: parse_tasks(["sharpening"]), "'sharpening'"),
        (lambda: parse_tasks(["denoising:XXL"]), "'XXL'"),
        (lambda: parse_tasks([tasks.get("U")]), "task Downsample.*expected a word; tasks.own makes a task of"),
        (
            lambda: Method("m", parse_tasks),
            "method m is <function parse_tasks .*expected a preset, .*'MODULE:FUNCTION'",
        ),
        (lambda: parse_tasks("UNA"), "tasks are 'UNA': expected a list of them"),
        (lambda: SweepPlan("abc", parse_tasks(["all"]), ("a",)), "methods is 'abc': expected a tuple of them"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("a",), 3), "seeds is 3: expected a tuple of them"),
        (lambda: SweepPlan((), parse_tasks(["all"]), ("a",)), "methods: 0"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("a", "a")), "images: 2, 1 different"),
        (lambda: SweepPlan(("../m",), parse_tasks(["all"]), ("a",)), r"'../m'"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("../a",)), r"'../a'"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("a" * 201,)), "201 bytes, expected 200"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("caf\udce9",)), "not UTF-8"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("a",), (-1,)), "seed is -1"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("a",), (2**63,)), "below 2"),
        (lambda: SweepPlan(("m",), parse_tasks(["all"]), ("a",), batch_size=0), "batch_size is 0"),
        (lambda: Method("report", "mine:f"), "method 'report': stands for 'default', expected another name"),
        (lambda: parse_methods("default"), r"methods are 'default': expected several words, as \['default'\]"),
        (lambda: parse_methods([("default", "ddrm")]), r"method \('default', 'ddrm'\): expected a word"),
        (lambda: parse_tasks(["single,typo"]), "unknown task 'typo'"),
        (lambda: Method("m", "no_such_module:f").function(), "no_such_module"),
        (lambda: Method("m", "math:pi").function(), "float, expected a function"),
        (
            lambda: Method("m", "sweep_world:sweep").function(),
            r"m: sweep_world:sweep takes \(\) -> .*, expected \(prior,",
        ),
        (
            lambda: Method("m", baselines.find("ddrm"), samples=0),
            "samples of m is 0: expected a whole number from 1 to",
        ),
        (lambda: Method("m", baselines.find("default"), samples=True), "samples of m is True"),
        (lambda: Method("m", baselines.find("nothing"), samples=2), "nothing draws no samples .*samples=1, got 2"),
        (lambda: Method("m", baselines.find("na_nhmc@10"), samples=3), "expected no more than 2 samples, got 3"),
        (lambda: Method("m", "x:y", samples=2), "m draws no samples: expected samples=1, got 2"),
        (lambda: ImageFolder(Path("nowhere")).paths, "nowhere: no such folder"),
    ],
)
def test_bad_plans(call, message):
    with pytest.raises(RusrError, match=message) as caught:
        call()
    assert isinstance(caught.value, PlanError | BenchmarkError | tasks.TaskError | RusrError)


@pytest.mark.parametrize(
    "name, own, other", [("default", 1, 2), ("ddrm", 1, 2), ("na_nhmc", 5, 1), ("ddrm@tuned", 1, 2)]
)
def test_as_many_samples_as_nobody_asked_for_are_the_same_method(name, own, other):
    """So that a sweep can be resumed with and without the option."""
    first, same, another = (Method(name, baselines.find(name), n).configuration() for n in (None, own, other))
    assert first == same and "samples" not in first and another["samples"] == other


def test_task_words():
    assert parse_tasks(["U:L,UNA", "denoising"]) == parse_tasks(["U:L", "UNA", "denoising"])
    assert parse_tasks(["single,composed"]) == parse_tasks(["all"]) == parse_tasks(["single, composed,"])
    assert parse_tasks(["U:M,downsample:4"]) == parse_tasks(["U:M", "downsample:4"])
    assert [str(task) for task in parse_tasks(["noise:24,0.16", "strokes:9,seed=3"])] == [
        "noise:24,0.16",
        "strokes:9,seed=3",
    ]
    assert len(parse_tasks(["all"])) == 31 and len(parse_tasks(["single", "all"])) == 31
    names = [str(task) for task in parse_tasks(["upsampling:L", "UNA"])]
    assert names == ["upsampling L", "upsampling+denoising+deartifacting M"]
    assert len(parse_tasks(["denoising"])) == 5


@pytest.fixture
def folder(tmp_path) -> Path:
    picture = Image.new("RGB", (40, 40), (200, 100, 50))
    for name in ("my photo (1).png", "naïve.ppm", "b.jpg", "anim.gif"):
        picture.save(tmp_path / name)
    (tmp_path / "._b.jpg").write_bytes(b"\0\5\26\7")  # what a Mac leaves beside each file
    (tmp_path / "notes.txt").write_text("text")
    (tmp_path / "sub").mkdir()
    return tmp_path


def test_every_readable_image_is_found_and_the_rest_is_named(folder):
    images = ImageFolder(folder)
    assert set(images.paths) == {"my photo (1)", "naïve", "b", "anim"}
    assert [path.name for path in images.left_out()] == ["notes.txt", "sub"]
    plan = SweepPlan(("m",), parse_tasks(["UN"]), tuple(images.paths))
    assert [u.path for b in plan.batches() for u in b.units if "photo" in u.image] == [
        "units/m/UN-M/my photo (1)_0.png"
    ]


def test_all_bad_images_are_named_at_once(folder):
    (folder / "bad1.png").write_bytes(b"")
    (folder / "bad2.jpg").write_bytes((folder / "b.jpg").read_bytes()[:200])
    images = ImageFolder(folder)
    with pytest.raises(PlanError, match="2 of 6 images cannot be used.*bad1.png.*bad2.jpg"):
        images.digests(tuple(images.paths), 32, folder / "out")


def test_two_files_of_one_name_are_named(folder):
    Image.new("RGB", (40, 40)).save(folder / "b.png")
    with pytest.raises(PlanError, match="b.jpg and b.png would share a name"):
        _ = ImageFolder(folder).paths


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(PlanError, match="no images there"):
        _ = ImageFolder(tmp_path).paths
