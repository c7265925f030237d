"""Tuning: what is tried and found, what survives a kill, what is refused; the file that is written is read back."""

import math
import random
import shutil
import sys
import tomllib
from collections import Counter
from concurrent.futures import Executor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import pytest
import torch
from conftest import run
from sweep_world import SPAWNER, config_of, counting_tune, wait_until

from rusr_core import baselines
from rusr_core.baselines import METHODS, Baseline, Choice, Real, Whole
from rusr_core.files import data_path
from rusr_core.images import quantize
from rusr_core.metrics.scores import lpips
from rusr_core.restore import Restoration
from rusr_core.sweeps import parse_tasks, provenance, tuned_files, tuning
from rusr_core.sweeps.config import load
from rusr_core.sweeps.measurements import ImageFolder, measurement
from rusr_core.sweeps.trials import Trials, TuningError, database, key, names
from rusr_core.sweeps.tuning import TuningPlan, tune

WORDS = ("deartifacting:M", "upsampling:XS")
SPACE = {"a": Real(0.01, 1, log=True), "b": Whole(1, 40, log=True), "c": Choice((None, 256))}
FIRST = {"a": 0.1, "b": 3, "c": None}


def plan(**options) -> TuningPlan:
    """The cheapest method that has settings, on two tasks and two portraits."""
    fields = {"base": METHODS["classical"], "tasks": parse_tasks(WORDS), "images": ("000", "001"), "trials": 4}
    return TuningPlan(**(fields | options))


def trials_of(folder, name: str = "classical") -> dict[str, list]:
    """Every study's trials: number, state, settings, value, scores without their seconds."""
    found, storage = {}, database(folder / f"{name}.db")
    for study in names(storage):
        trials = Trials(storage, study, {}, [], 0).study.get_trials()
        scores = [{key: value[0] for key, value in t.user_attrs.items()} for t in trials]
        rows = [(t.number, t.state.name, t.params, t.value) for t in trials]
        found[study] = list(zip(rows, scores, strict=True))
    return found


@pytest.fixture(scope="module")
def tuned(world, tmp_path_factory):
    """The small world's method, tuned; -> its configuration, and the studies."""
    config = config_of(world, tmp_path_factory.mktemp("tuned"), methods=())
    return config, tune(config, plan())


@pytest.mark.slow
def test_trials_begin_with_the_published_settings_and_the_one_of_all_tasks(tuned):
    config, studies = tuned
    assert list(studies) == ["one", *WORDS]
    one, value = studies["one"].best()
    for name, study in studies.items():
        trials = study.finished()
        assert len(trials) == 4 and trials[0][0] == {"nlm": 0.8, "patch": 5, "tv": 0.03}, "the published settings"
        assert study.best()[1] == min(value for _, value in trials)
        assert all(METHODS["classical"].space[key].holds(v) for settings, _ in trials for key, v in settings.items())
        if name != "one":
            assert one in [settings for settings, _ in trials[:2]]
            mine = studies["one"].scores()
            there = [mine[key(one), f"{parse_tasks([name])[0]} / {image}"][0] for image in ("000", "001")]
            assert study.best()[1] <= sum(there) / 2 + 1e-12, "tuned is no worse than one, on these portraits"


def test_a_trials_value_is_the_mean_distance_of_its_restorations(tuned):
    """Against a restoration and a mean of our own."""
    config, studies = tuned
    prior, judge = load(config)
    settings, value = studies["deartifacting:M"].finished()[-1]
    found = []
    for image in ("000", "001"):
        task = parse_tasks(["deartifacting:M"])[0]
        shown = measurement(config.folder, ImageFolder(config.images), task, image, 0, 32, prior.device)
        result = METHODS["classical"].configured(**settings).restore(prior, shown.y, task.degradation())
        found.append(lpips(quantize(result.image), shown.truth, judge.perceptual).item())
    assert value == pytest.approx(sum(found) / 2, rel=1e-5)
    both = [studies[word].scores() for word in WORDS]
    published = key({"nlm": 0.8, "patch": 5, "tv": 0.03})
    means = []
    for scores in both:
        each = [score[0] for (settings, _), score in scores.items() if settings == published]
        means.append(sum(each) / len(each))
    assert studies["one"].finished()[0][1] == pytest.approx(math.sqrt(means[0] * means[1]), rel=1e-6)


def test_the_file_is_read_back(tuned, tmp_path, world):
    config, studies = tuned
    path = tuned_files.write(tmp_path, config, plan(), studies)
    found = tomllib.loads(path.read_text())
    assert found["tasks"]["upsampling:XS"]["trials"] == 4 and len(found["portraits"]) == 2
    assert {"commit", "code", "device_name", "judge", "optuna", "date"} - {"commit"} <= set(found["provenance"])
    assert "one setting: published" in tuned_files.summary(path)
    method = baselines.find("classical@tuned", tuned_in=tmp_path)
    for task in plan().tasks:
        assert method.chosen(task.degradation()).values == studies[tuning.word(task)].best()[0]
    assert baselines.find("classical@one", tuned_in=tmp_path).settings[""] == studies["one"].best()[0]


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_trials(tuned, world, tmp_path):
    undisturbed = trials_of(tuned[0].folder)
    config, counts, moments = config_of(world, tmp_path / "killed", methods=()), tmp_path / "counts", random.Random(1)
    counts.touch()
    kills = 0
    while kills < 4:
        child = SPAWNER.Process(target=counting_tune, args=(config, plan(), counts))
        before = counts.read_text().count("\n")
        child.start()
        wait_until(lambda child=child, before=before: child.exitcode is not None
                   or counts.read_text().count("\n") >= before + 3, "three evaluations")  # fmt: skip
        child.join(moments.uniform(0, 0.06))
        if child.exitcode is not None:
            break
        child.kill()  # SIGKILL
        child.join()
        kills += 1
    assert kills >= 2, "the work was over before it could be killed"
    child = SPAWNER.Process(target=counting_tune, args=(config, plan(), counts))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert trials_of(config.folder) == undisturbed, "not a trial more, not one less, and the same scores"
    begun = Counter(counts.read_text().splitlines())
    assert sum(begun.values()) - len(begun) <= kills, "only what was under way is done again"


@pytest.mark.slow
def test_more_trials_and_more_tasks_go_on_where_it_stopped(tuned, world, tmp_path):
    config = config_of(world, tmp_path / "more", methods=())
    tune(config, plan(trials=2), each=False)
    assert set(trials_of(config.folder)) == {"one"}
    counting_tune(config, plan(), tmp_path / "counts")
    assert trials_of(config.folder) == trials_of(tuned[0].folder)
    assert len(tune(config, plan(trials=1))["one"].finished()) == 4, "fewer trials than there are ask for nothing"


def grey(prior, y, f, *, seed=0, callback=None, a=1.0) -> Restoration:
    side = prior.generator.resolution
    return Restoration(torch.full((len(y), 3, side, side), a), 0.0, [0] * len(y), seed, "grey", {"references": []})


def test_the_single_setting_is_tried_for_tasks_that_were_tuned_before_it_was_found(world, tmp_path):
    base, config = Baseline("grey", grey, space={"a": Real(0.01, 1)}), config_of(world, tmp_path / "late", methods=())
    before = tune(config, plan(base=base, trials=2), one=False)
    tried = {name: [settings for settings, _ in before[name].finished()] for name in WORDS}
    one, _ = tune(config, plan(base=base, trials=3), each=False)["one"].best()
    assert one != {"a": 1.0}, "or this test shows nothing"
    after = tune(config, plan(base=base, trials=2), one=False)
    assert {name: [settings for settings, _ in after[name].finished()] for name in WORDS} == {
        name: [*settings, one] for name, settings in tried.items()
    }
    counting_tune(config, plan(base=base, trials=2), tmp_path / "counts")
    assert not (tmp_path / "counts").exists(), "then nothing is left to do"


@pytest.mark.slow
def test_what_another_configuration_would_mix_is_refused(tuned, world, tmp_path, monkeypatch):
    config = tuned[0]
    for options, message in (({"seed": 1}, "seed was 0, is now 1"), ({"batch_size": 2}, "batch_size was 1, is now 2"),
                             ({"images": ("000", "002")}, "portraits.001 was")):  # fmt: skip
        with pytest.raises(TuningError, match=f"'one' was begun with another configuration: .*{message}"):
            tune(config, plan(**options))
    monkeypatch.setattr(provenance, "code_digest", lambda: "other")
    with pytest.raises(TuningError, match="code was .*, is now .*other"):
        tune(config, plan())
    copy = config_of(world, tmp_path / "copy", methods=())
    shutil.copytree(config.folder, copy.folder)
    studies = tune(copy, plan(), accept_code_change=True)
    assert [set(change) for change in studies["one"].accepted_changes()] == [{"code"}]


def test_test_portraits_and_what_cannot_be_tuned_are_refused(world, tmp_path, capsys):
    folder = tmp_path / "mine"
    folder.mkdir()
    shutil.copy(data_path("portraits/test/007.png"), folder / "a.png")
    words = ["--prior", world / "prior.safetensors", "--judge", world / "judge.safetensors"]
    words += ["--perceptual", "portraits", "--images", folder, "--tasks", "deartifacting:M"]
    assert run("tune", "classical", tmp_path / "out", *words) == 2
    assert "a.png is the test portrait 007.png: expected portraits that nothing is tested on" in capsys.readouterr().err
    assert run("tune", "nothing", tmp_path / "out", *words) == 2
    assert "nothing has no settings that could be tuned" in capsys.readouterr().err
    assert run("tune", "classical", tmp_path / "out", *words[:-1], "downsample:2 | fade:0.5") == 2
    captured = capsys.readouterr()
    assert "n/a: classical on downsample:2 | fade:0.5" in captured.out and "0 tasks" in captured.err


def breaks_at_large_a(prior, y, f, *, seed=0, callback=None, a=0.1) -> Restoration:
    if a > 0.5:
        raise baselines.BaselineError("left the numbers")
    side = prior.generator.resolution
    return Restoration(torch.full((len(y), 3, side, side), a), 0.0, [0] * len(y), seed, "broken", {"references": []})


@pytest.mark.slow
def test_settings_that_give_no_image_are_counted_and_never_chosen(world, tmp_path):
    base = Baseline("broken", breaks_at_large_a, space={"a": Real(0.01, 10, log=True)})
    tried = plan(base=base, trials=10, images=("000",))
    study = tune(config_of(world, tmp_path / "out", methods=()), tried, each=False)["one"]
    trials = study.finished()
    failed = [settings["a"] for settings, value in trials if value == math.inf]
    assert failed and all(a > 0.5 for a in failed) and study.best()[0]["a"] <= 0.5


@pytest.mark.slow
def test_the_sampler_finds_the_minimum_of_a_bowl_and_repeats_itself(tmp_path):
    def value(settings: dict) -> float:
        return math.log(settings["a"] / 0.3) ** 2 + (settings["b"] - 9) ** 2 / 50 + (settings["c"] is None)

    found, storage = {}, database(tmp_path / "trials.db")
    for seed, count in ((5, 24), (6, 3)):
        study = Trials(storage, f"seed {seed}", SPACE, [FIRST], seed)
        for _ in range(count):
            settings, _ = study.current()
            assert study.current()[0] == settings, "one that is under way is taken up"
            study.tell(value(settings))
        found[seed] = study.finished()
    again = Trials(database(tmp_path / "again.db"), "seed 5", SPACE, [FIRST], 5)
    for _ in range(11):
        again.tell(value(again.current()[0]))
    assert again.finished() == found[5][:11] and found[5][0] == (FIRST, value(FIRST))
    assert found[6][1] != found[5][1], "another seed tries others"
    settings, least = min(found[5], key=lambda each: each[1])
    assert settings["c"] == 256 and least < 0.6 < value(FIRST)


def test_the_place_of_the_file_is_tried_before_the_work(world, tmp_path, capsys):
    (tmp_path / "file").write_text("no folder")
    words = ["--images", world / "images", "--to", tmp_path / "file/tuned"]
    assert run("tune", "classical", tmp_path / "out", *words) == 2
    assert "file is not a folder" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_own_degradations_are_found_in_the_working_directory(world, tmp_path, monkeypatch, capsys):
    (tmp_path / "own_fade.py").write_text("from rusr_core.degradations import parse\n\n\nf = parse('fade:0.5')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    words = ["--images", world / "images", "--tasks", "own_fade:f"]
    assert run("tune", "classical", tmp_path / "out", *words) == 2
    assert "n/a: classical on own_fade:f" in capsys.readouterr().out


def test_a_worker_that_dies_is_one_line(world, tmp_path, monkeypatch):
    """Also where the pool breaks before it is given the next evaluation."""

    class Broken(Executor):
        def submit(self, *_args, **_options):
            raise BrokenProcessPool("a process died")

    @contextmanager
    def broken(*_args):
        yield Broken(), 1, lambda: True

    monkeypatch.setattr(tuning, "executor", broken)
    with pytest.raises(TuningError, match="a worker process died"):
        tune(config_of(world, tmp_path / "out", methods=()), plan())


@pytest.mark.parametrize("damage", ["text", "folder"])
def test_a_database_that_cannot_be_used_is_one_line(damage, config, capsys):
    path = config.folder / "classical.db"
    path.parent.mkdir(exist_ok=True)
    path.mkdir() if damage == "folder" else path.write_text(100 * "no database ")
    with pytest.raises(TuningError, match=r"classical.db: cannot be used \(.*\); expected the studies") as caught:
        tune(config, plan())
    assert "\n" not in str(caught.value)
