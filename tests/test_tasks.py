"""The table of tasks: the published values, names, and errors that help."""

import dataclasses

import pytest

from rusr_core import tasks
from rusr_core.degradations import JPEG, Compose, Downsample, PoissonBernoulliNoise, Strokes


def test_single_tasks_are_the_published_20():
    assert len(tasks.SINGLE) == 20 == len({(task.name, task.level) for task in tasks.SINGLE})
    assert [task.degradation().factor for task in tasks.SINGLE[:5]] == [2, 4, 8, 16, 32]
    noise = [task.degradation() for task in tasks.SINGLE[5:10]]
    assert [(f.photons, f.p) for f in noise] == [(96, 0.04), (48, 0.08), (24, 0.16), (12, 0.32), (6, 0.64)]
    assert [task.degradation().quality for task in tasks.SINGLE[10:15]] == [18, 15, 12, 9, 6]
    assert [task.degradation().count for task in tasks.SINGLE[15:]] == [1, 5, 9, 13, 17]
    assert all(task.degradation().width == 0.08 for task in tasks.SINGLE[15:])
    assert all(task.degradation().filter == "random" for task in tasks.SINGLE[:5])


def test_composed_tasks_are_the_published_11_in_their_order():
    letters = [task.letters for task in tasks.COMPOSED]
    assert letters == ["UN", "UA", "UP", "NA", "NP", "AP", "UNA", "UNP", "UAP", "NAP", "UNAP"]
    assert {task.level for task in tasks.COMPOSED} == {"M"}
    expected = Compose(Downsample(8), PoissonBernoulliNoise(24, 0.16), JPEG(12), Strokes(9))
    assert tasks.COMPOSED[-1].degradation() == expected == tasks.get("UNAP")
    assert str(tasks.COMPOSED[-1]) == "upsampling+denoising+deartifacting+inpainting M"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("upsampling", "U"),
        ("super-resolution", "U"),
        ("Denoising", "N"),
        ("jpeg", "A"),
        ("deartifacting", "A"),
        ("inpainting", "P"),
        ("p", "P"),
        ("NA", "NA"),
        ("upsampling+inpainting", "UP"),
        ("sr + denoising", "UN"),
    ],
)
def test_names_letters_and_aliases(name, expected):
    assert tasks.find(name).letters == expected


def test_get_gives_the_degradation():
    assert tasks.get("denoising", "XL") == PoissonBernoulliNoise(6, 0.64)
    assert tasks.get("deartifacting", "l") == JPEG(9)
    assert tasks.get("inpainting", "S", seed=4) == Strokes(5, seed=4)
    assert tasks.get("UP", "XS", seed=(1, 2)) == Compose(Downsample(2), Strokes(1, seed=(1, 2)))
    assert tasks.get("UNAP", compat="cvpr2023").stages[2] == JPEG(12, compat="cvpr2023")


def test_tasks_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        tasks.SINGLE[0].level = "XL"


@pytest.mark.parametrize(
    ("task", "level", "message"),
    [
        ("denoise", "M", "unknown task 'denoise'; expected one of upsampling, .*did you mean 'denoising'"),
        ("painting", "M", "did you mean 'inpainting'"),
        ("", "M", "unknown task ''"),
        ("UX", "M", "unknown task 'UX'"),
        ("upsampling", "XXL", "unknown level 'XXL'; expected one of XS, S, M, L, XL"),
        ("upsampling", 3, "unknown level 3"),
        ("NU", "M", "order U, N, A, P; did you mean 'UN'"),
        ("UU", "M", "names a degradation twice"),
    ],
)
def test_wrong_names_are_one_clear_line(task, level, message):
    with pytest.raises(tasks.TaskError, match=message) as caught:
        tasks.get(task, level)
    assert "\n" not in str(caught.value)
