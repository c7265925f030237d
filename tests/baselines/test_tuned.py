"""Tuned settings: how a file of them is read, which weights they belong to, and which tasks they are for."""

import dataclasses
import hashlib
import shutil
import tomllib

import pytest
import torch
from conftest import run

from rusr_core import baselines, presets, tasks
from rusr_core.baselines import METHODS, BaselineError, ours
from rusr_core.baselines.tuned import prior_of, published, space_of, weights_of
from rusr_core.checkpoints import save_denoiser
from rusr_core.degradations import parse
from rusr_core.files import data_path
from rusr_core.images import load_image, save_image
from rusr_core.networks.denoiser import Denoiser, DenoiserConfig
from rusr_core.priors import load_diffusion_prior
from rusr_core.sweeps import recordings

TINY = DenoiserConfig((16,), 1, 4, features=2, head=4, embedding=8, coarse=4, modes=6, resolution=32)

FILE = """\
method = "pulse"
[weights]
{weights}
[portraits]
"000" = "0123"
[one.settings]
{one}
[tasks."downsample:4,bilinear".settings]
{first}
[tasks."inpainting:S".settings]
{second}
"""


def lines(values: dict) -> str:
    return "\n".join(f"{key} = {value!r}".replace("'", '"') for key, value in values.items())


def write(folder, prior, **changes) -> None:
    """A file of tuned settings of PULSE: fifty steps, and other rates."""
    base = published(METHODS["pulse"]) | {"steps": 50}
    parts = {"one": base, "first": base | {"lr": 0.2}, "second": base | {"lr": 0.3}}
    parts |= {"weights": weights_of(prior)} | changes
    folder.mkdir(exist_ok=True)
    (folder / "pulse.toml").write_text(FILE.format(**{key: lines(value) for key, value in parts.items()}))


def test_every_published_setting_lies_in_its_space():
    for name in baselines.names():
        base = baselines.base_of(name)
        for key, value in published(base).items():
            assert space_of(base)[key].holds(value), (name, key, value)


def test_a_preset_is_its_published_settings_and_takes_others():
    for preset in presets.PRESETS.values():
        assert ours.configured(preset, preset.name, published(preset)) == preset
    changed = ours.configured(presets.get("default"), "mine", {"lr_wplus": 0.3, "steps": 60, "l1_weight": 0.5})
    assert [(phase.space, phase.lr, phase.steps) for phase in changed.phases] == [
        ("W", 0.24, 60), ("W+", 0.3, 60), ("W++", 0.04, 60),
    ]  # fmt: skip
    assert changed.l1_weight == 0.5 and changed.name == "mine" and changed.draws == 2
    with pytest.raises(BaselineError, match="no setting 'rate': expected one of lr_w, lr_wplus"):
        ours.configured(presets.get("default"), "mine", {"rate": 1})
    odd = dataclasses.replace(presets.get("default"), phases=presets.get("default").phases[:2])
    with pytest.raises(BaselineError, match="expected W, W\\+, W\\+\\+ with as many steps"):
        ours.settings(odd)


def test_each_task_gets_its_own_setting_and_all_get_the_one(tmp_path, prior, truth):
    write(tmp_path, prior)
    one, tuned = (baselines.find(f"pulse@{column}", tuned_in=tmp_path) for column in ("one", "tuned"))
    small, holes = parse("downsample:4,bilinear"), tasks.get("inpainting", "S", seed=(3, 4))
    assert one.chosen(small).settings["lr"] == one.chosen(holes).settings["lr"] == METHODS["pulse"].settings["lr"]
    assert tuned.chosen(small).settings["lr"] == 0.2 and tuned.chosen(holes).settings["lr"] == 0.3
    assert "it was tuned for downsample:4,bilinear, inpainting:S only" in tuned.reason(parse("jpeg:9"))
    with pytest.raises(BaselineError, match="pulse@tuned is n/a for jpeg"):
        tuned.restore(prior, truth, parse("jpeg:9"))
    assert one.reason(parse("jpeg:9")) is None
    seen = []
    result = tuned.restore(prior, small.degrade(truth[:1]), small, seed=1, callback=seen.append)
    assert result.method == "pulse@tuned" and result.info["settings"]["lr"] == 0.2 and len(seen) == 50


def test_other_weights_are_refused(tmp_path, prior, truth):
    write(tmp_path, prior, weights=weights_of(prior) | {"generator": 64 * "a"})
    tuned, f = baselines.find("pulse@tuned", tuned_in=tmp_path), parse("downsample:4,bilinear")
    now = weights_of(prior)["generator"][:12]
    message = f"pulse@tuned was tuned with the generator aaaaaaaaaaaa, this prior has {now}"
    with pytest.raises(BaselineError, match=message):
        tuned.restore(prior, f.degrade(truth), f)


def test_what_is_not_there_or_does_not_fit_is_said(tmp_path, prior):
    with pytest.raises(BaselineError, match=r"pulse has not been tuned: expected .*pulse.toml, which rusr tune pulse"):
        baselines.find("pulse@one", tuned_in=tmp_path)
    with pytest.raises(BaselineError, match="NAME@STEPS, NAME@one or NAME@tuned"):
        baselines.find("pulse@best")
    write(tmp_path, prior)
    with pytest.raises(BaselineError, match="has the steps that it was tuned with: expected no other, got 3"):
        baselines.find("pulse@one", 3, tmp_path)
    shutil.copy(tmp_path / "pulse.toml", tmp_path / "brgm.toml")
    with pytest.raises(BaselineError, match="holds settings of 'pulse', expected 'brgm'"):
        baselines.find("brgm@one", tuned_in=tmp_path)
    write(tmp_path, prior, one={"lr": 99.0})
    with pytest.raises(BaselineError, match="lr is 99.0, expected a value in Real"):
        baselines.find("pulse@one", tuned_in=tmp_path)
    write(tmp_path, prior, one={"rate": 1.0})
    with pytest.raises(BaselineError, match="pulse has no setting 'rate'"):
        baselines.find("pulse@one", tuned_in=tmp_path)
    (tmp_path / "pulse.toml").write_text('method = "pulse"\n')
    with pytest.raises(BaselineError, match="not the file of a tuned method"):
        baselines.find("pulse@one", tuned_in=tmp_path)


def test_the_command_restores_with_a_denoiser_or_says_that_there_is_none(config, tmp_path, capsys):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        save_denoiser(Denoiser(TINY), tmp_path / "denoiser.safetensors")
    f = parse("downsample:4,bilinear")
    save_image(f.degrade(load_image(config.images / "000.png")), tmp_path / "y.png")
    words = ["restore", tmp_path / "y.png", tmp_path / "x.png", "--degradation", str(f), "--prior", config.prior]
    words += ["--perceptual", "portraits", "--method", "ddrm", "--steps", "5"]
    assert run(*words) == 2
    assert "no denoiser is known for the prior" in capsys.readouterr().err and not (tmp_path / "x.png").exists()
    assert run(*words, "--denoiser", tmp_path / "denoiser.safetensors") == 0
    assert load_image(tmp_path / "x.png").shape == (1, 3, 32, 32)


SHIPPED = sorted(path.stem for path in data_path("tuned").glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_settings_belong_to_the_shipped_weights_and_to_no_test_portrait(name, embedded):
    """Tune again (benchmarks/README.md) when the weights change."""
    own = tomllib.loads(data_path(f"tuned/{name}.toml").read_text())
    used = load_diffusion_prior() if prior_of(baselines.base_of(name)) == "diffusion" else embedded
    tuned = baselines.find(f"{name}@tuned")
    tuned.check(used)
    tests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in data_path("portraits/test").glob("*.png")}
    assert len(tuned.portraits) == 8 and not tests & set(tuned.portraits.values())
    for task, found in own["tasks"].items():
        assert found["score"] <= found["published_score"] and found["trials"] >= 20, task
        assert tuned.reason(tasks.find(task).degradation()) is None


@pytest.mark.parametrize("name", sorted(path.stem for path in data_path("results/tuned_again").glob("*.toml")))
def test_a_study_that_was_repeated_differs_in_its_seed_alone(name):
    own, again = (
        tomllib.loads(data_path(f"{where}/{name}.toml").read_text()) for where in ("tuned", "results/tuned_again")
    )
    assert again["provenance"]["seed"] != own["provenance"]["seed"] and again["portraits"] == own["portraits"]
    assert set(again["tasks"]) <= set(own["tasks"]) and again["weights"] == own["weights"]


def test_a_recorded_column_was_run_with_the_shipped_settings():
    held = recordings.load("portraits-128-one-setting").provenance["settings"]
    columns = [name for name in held if "@" in name]
    assert columns
    for name in columns:
        assert held[name]["settings"] == baselines.find(name).values()["settings"], name


@pytest.mark.parametrize(
    "old, new, message",
    [
        ("[one.settings]", "[one]\nsettings = 3\n[other]", "settings is 3, expected a table"),
        ("[one.settings]", '[one]\nsettings = ["lr"]\n[other]', r"settings is \['lr'\], expected a table"),
        ("[one.settings]", "[one]\n[other]", "settings is missing, expected a table"),
        ("[weights]", "weights = 3\n[other]", "weights is 3, expected a table"),
        ("[portraits]", "[other]", "portraits is missing, expected a table"),
        ('"0123"', "123", "portraits.000 is 123, expected a digest in quotes"),
        ('"000" = "0123"', '"a.b" = 1', 'portraits."a.b" is 1, expected a digest in quotes'),
        ("lr = ", "lrr = ", "one.settings: pulse has no setting 'lrr'"),
        ("lr = ", "#", "one.settings.lr is missing, expected a value in Real"),
        ('"pulse"', '["pulse"]', r"holds settings of \['pulse'\], expected 'pulse'"),
    ],
)
def test_a_file_that_was_edited_by_hand_is_one_line_that_names_it(old, new, message, tmp_path, prior):
    write(tmp_path, prior)
    path = tmp_path / "pulse.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(BaselineError, match=message) as caught:
        baselines.find("pulse@one", tuned_in=tmp_path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


@pytest.mark.parametrize("word", ["upsampling:Q", "nonsense", "downsample:0", ""])
def test_a_task_of_a_file_that_is_none_is_said_when_it_is_read(word, tmp_path, prior):
    write(tmp_path, prior)
    path = tmp_path / "pulse.toml"
    path.write_text(path.read_text().replace("inpainting:S", word))
    word = word or '""'
    with pytest.raises(BaselineError, match=f"pulse.toml: tasks.{word} is no task: "):
        baselines.find("pulse@tuned", tuned_in=tmp_path)
