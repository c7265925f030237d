"""Degradations of one's own in sweeps: in notation, by "module:name" and as objects; alone and in batches."""

import re
from dataclasses import replace

import pytest
import torch
from sweep_world import contents, plan, presets_of

from rusr_core import commands, tasks
from rusr_core.degradations import Compose, Downsample
from rusr_core.images import load_image, save_image
from rusr_core.sweeps import BenchmarkError, SweepPlan, parse_tasks, results, run
from rusr_core.sweeps.claims import StorageError
from rusr_core.sweeps.storage import manifest, read_record

OWN = ("blur", "noisy", "drawn", "grey", "Dark")
WORDS = ("downsample:4 | jpeg:30", *(f"sweep_operators:{name}" for name in OWN), "sweep_operators:noisy | downsample:2")


def test_words_of_the_command_line():
    chosen = parse_tasks(["downsample:4 | jpeg:30", "sweep_operators:blur", "upsampling:L", "jpeg:30", "jpeg:M", "U"])
    assert [str(task) for task in chosen[:5]] == [
        "downsample:4 | jpeg:30",
        "sweep_operators:blur",
        "upsampling L",
        "jpeg:30",
        "deartifacting M",
    ]
    assert len(chosen) == 9, "upsampling at the other four levels"


@pytest.mark.slow
def test_a_batch_gives_what_each_image_gets_alone(config, tmp_path):
    """Of all kinds of operators, random ones too."""
    wanted = plan(3, names=WORDS, methods=("plain",))
    batched = replace(config, folder=tmp_path / "batched")
    state = torch.get_rng_state()
    assert run(config, wanted).ok and run(batched, replace(wanted, batch_size=3)).ok
    assert torch.equal(state, torch.get_rng_state())
    one, other = contents(config.folder), contents(batched.folder)
    assert len(results.rows(config.folder)) == 3 * len(WORDS)
    assert {k: v for k, v in one.items() if k != "bench.json"} == {k: v for k, v in other.items() if k != "bench.json"}


@pytest.mark.slow
@pytest.mark.parametrize("word", ["sweep_operators:noisy", "sweep_operators:grey", "downsample:4 | jpeg:30"])
def test_a_search_with_them(config, word):
    config = replace(config, methods=presets_of()[:1])
    assert run(config, plan(2, names=(word,), methods=("default",), batch_size=2)).ok
    assert {row["task"] for row in results.rows(config.folder)} == {word}


def test_the_measurement_is_the_operator_applied_with_its_seed(config):
    (task,) = parse_tasks(["sweep_operators:drawn"])
    run(config, SweepPlan(("plain",), (task,), ("000",)))
    path = config.folder / "measurements" / task.file_name / "000_0.png"
    seed = read_record(path)["noise_seed"]
    x = load_image(config.images / "000.png")
    expected = (x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))).clamp(0, 1)
    assert (load_image(path) - expected).abs().max() < 0.5 / 255 + 1e-6


def test_an_object_that_has_no_notation(config):
    task = tasks.own(Compose(torch.nn.AvgPool2d(2), Downsample(2, "bilinear")), name="twice halved")
    assert run(config, SweepPlan(("plain",), (task,), ("000",))).ok
    assert [row["task"] for row in results.rows(config.folder)] == ["twice halved"]


def test_a_changed_operator_does_not_mix(config, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    source = tmp_path / "operator_of_a_test.py"
    source.write_text("def half(x):\n    return 0.5 * x\n")
    wanted = plan(1, names=("operator_of_a_test:half",), methods=("plain",))
    assert run(config, wanted).ok
    source.write_text("def half(x):\n    '''Half of it.'''\n    return 0.5 * x  # the same\n")
    assert run(config, wanted).before == 1
    source.write_text("def half(x):\n    return 0.4 * x\n")
    with pytest.raises(StorageError, match=r"tasks\.operator_of_a_test:half\.sources\.operator_of_a_test was"):
        run(config, wanted)


def test_changed_weights_of_an_operator_do_not_mix(config, monkeypatch):
    import sweep_operators

    wanted = plan(1, names=("sweep_operators:grey",), methods=("plain",))
    assert run(config, wanted).ok
    assert manifest(config.folder)["tasks"]["sweep_operators:grey"]["weights"]
    monkeypatch.setattr(sweep_operators.grey, "weights", torch.full((1, 3, 1, 1), 1 / 3))
    with pytest.raises(StorageError, match=r"tasks\.sweep_operators:grey\.weights\[0\] was"):
        run(config, wanted)


def test_a_changed_file_of_a_mask_does_not_mix(config, tmp_path):
    path = tmp_path / "left, or right.png"
    save_image(torch.ones(1, 3, 32, 32).index_fill(3, torch.arange(16), 0), path)
    wanted = plan(1, names=(f'mask:"{path}"',), methods=("plain",))
    assert run(config, wanted).ok
    save_image(torch.ones(1, 3, 32, 32).index_fill(2, torch.arange(16), 0), path, force=True)
    with pytest.raises(StorageError, match=r"masks\[0\] was"):
        run(config, wanted)


@pytest.mark.parametrize(
    "word, message",
    [
        ("sweep_operators:broken", "no such luck"),
        ("sweep_operators:uneven | downsample:32", "downsample|reduced"),
        ("downsample:3", "cannot degrade images of 32x32 px: .*reduced by 3"),
        ("sweep_operators:nothing", "nothing"),
    ],
)
def test_an_operator_that_cannot_work_is_named_before_the_sweep(config, word, message, capsys):
    words = ["bench", str(config.folder), "--prior", config.prior, "--perceptual", "portraits"]
    words += ["--images", str(config.images), "--methods", "plain=sweep_world:enlarged", "--tasks", word]
    assert commands.main(words) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not config.folder.exists()


def test_two_tasks_of_one_name_are_refused():
    one, two = (tasks.own(Downsample(factor), name="mine") for factor in (2, 4))
    with pytest.raises(Exception, match="two of them share a name"):
        SweepPlan(("m",), (one, two), ("a",))


def test_a_task_that_fails_on_its_images_is_an_error_of_the_sweep(config):
    (task,) = parse_tasks(["downsample:5"])
    with pytest.raises(BenchmarkError, match="task downsample:5 cannot degrade"):
        run(config, SweepPlan(("plain",), (task,), ("000",)))
