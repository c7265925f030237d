"""What a preset may say, and what it is called when it is shortened."""

import dataclasses
import functools
import json

import pytest
import torch

from rusr_core import presets
from rusr_core.presets import Phase, Preset, PresetError

DEFAULT, PUBLISHED = presets.get("default"), presets.get("cvpr2023")


def rms(latents, lr):
    return torch.optim.RMSprop(latents, lr)


def test_fewer_steps_are_longer_ones_and_the_name_says_so():
    for steps, stretch in ((150, 1), (300, 1), (75, 2), (10, 15)):
        for preset in (PUBLISHED.shortened(steps), PUBLISHED.shortened(7).shortened(steps)):  # the last word counts
            assert preset.name == f"cvpr2023@{steps}" and preset == presets.get(f"cvpr2023@{steps}")
            for short, long in zip(preset.phases, PUBLISHED.phases, strict=True):
                assert short.steps == steps
                assert short.lr == pytest.approx(min(stretch, presets.MAX_STRETCH[short.space]) * long.lr)
            assert dataclasses.replace(preset, name="cvpr2023", phases=PUBLISHED.phases) == PUBLISHED


def test_a_changed_preset_is_shortened_before_it_is_shortened_again():
    patient = dataclasses.replace(DEFAULT, patience=40)
    assert patient.shortened(20).patience == 40
    changed = dataclasses.replace(DEFAULT.shortened(20), patience=40)
    with pytest.raises(PresetError, match="'default@20' was shortened already"):
        changed.shortened(30)
    own = dataclasses.replace(DEFAULT, name="mine").shortened(20)
    with pytest.raises(PresetError, match="'mine@20' was shortened already.*default, cvpr2023"):
        own.shortened(30)


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "3"])
def test_steps_are_counted(steps):
    with pytest.raises(PresetError, match=f"steps of 'default' when shortened is {steps!r}: expected a whole number"):
        DEFAULT.shortened(steps)


@pytest.mark.parametrize("end", ["", "@30"])
def test_the_default_preset_has_another_name(end):
    assert presets.get(f"report{end}") == presets.get(f"default{end}")
    names = {"report": "default", "report@30": "default@30", "report-ngd": "default-ngd", "reporter": "reporter"}
    assert {name: presets.known_as(name) for name in names} == names


@pytest.mark.parametrize("name", ["best", "default@", "default@many", "best@3", "default@30@2"])
def test_unknown_names(name):
    with pytest.raises(PresetError, match=f"preset {name!r}: expected one of default, cvpr2023, or NAME@STEPS"):
        presets.get(name)


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("name", "", "name of preset '' is '': expected a word"),
        ("phases", (), "are none: a latent can only be widened, expected the order W, W"),
        ("phases", (Phase("W+", 1, 1), Phase("W", 1, 1)), r"are W\+, W: a latent can only be widened"),
        ("phases", (Phase("W++", 1, 1), Phase("W+", 1, 1)), r"are W\+\+, W\+: a latent can only be widened"),
        ("phases", ("W",), r"phases of preset 'default' is \('W',\): expected a tuple of presets.Phase"),
        ("optimizer", "Adam", "'Adam': expected one of adam, ngd, sgd, or a function"),
        ("patience", -3, "patience of preset 'default' is -3: expected a whole number from 1 to 100000, or None"),
        ("patience", 0, "is 0: expected a whole number from 1 to 100000, or None"),
        ("lpips_levels", 0, "lpips_levels .* is 0"),
        ("lpips_smallest", -1, "lpips_smallest .* is -1"),
        ("l1_weight", -0.1, "l1_weight .* is -0.1: expected a number from 0"),
        ("identity_weight", float("nan"), "identity_weight .* is nan: expected a number from 0"),
        ("draws", 3, "draws .* is 3: expected 1 or 2"),
        ("draws", True, "draws .* is True: expected 1 or 2"),
        ("identity_reference", "Input", "'Input': expected 'input' or 'clean'"),
    ],
)
def test_what_no_search_can_follow(field, value, message):
    with pytest.raises(PresetError, match=message):
        dataclasses.replace(DEFAULT, **{field: value})


@pytest.mark.parametrize(
    "phase, message",
    [
        (("w+", 0.1, 1), r"space is 'w\+': expected one of W, W\+, W\+\+"),
        (("W", 0.0, 1), r"lr of phase W is 0.0: expected a positive number"),
        (("W", float("inf"), 1), "lr of phase W is inf"),
        (("W", 0.1, 0), "steps of phase W is 0: expected a whole number from 1"),
        (("W", 0.1, 1.5), "steps of phase W is 1.5"),
    ],
)
def test_what_no_phase_can_be(phase, message):
    with pytest.raises(PresetError, match=message):
        Phase(*phase)


def test_the_same_space_may_be_searched_twice():
    coarse_to_fine = dataclasses.replace(DEFAULT, phases=(Phase("W", 0.2, 3), Phase("W", 0.1, 3)))
    assert [phase.lr for phase in coarse_to_fine.phases] == [0.2, 0.1]


def test_values_are_plain_and_come_back():
    for preset in (*presets.PRESETS.values(), DEFAULT.shortened(7)):
        values = json.loads(json.dumps(preset.values()))
        assert Preset.of_values(values) == preset
    own = dataclasses.replace(DEFAULT, optimizer=functools.partial(rms))
    assert own.values()["optimizer"] == f"{__name__}:rms"
    assert Preset.of_values(own.values()).optimizer == f"{__name__}:rms"  # by name: nothing is imported
    with pytest.raises(PresetError, match="not the values of a preset"):
        Preset.of_values({"name": "x"})
