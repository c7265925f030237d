"""The table of tasks: the published values, names, and errors that help."""

import dataclasses
import pickle
import re

import pytest
import torch

from rusr_core import tasks
from rusr_core.degradations import JPEG, Compose, Downsample, Mask, PoissonBernoulliNoise, Strokes, parse
from rusr_core.errors import RusrError


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


OWN = ["downsample:3 | jpeg:30", "jpeg:30,4:4:4", "noise:24,0.16", "strokes:9", "identity", "math:sqrt"]


@pytest.mark.parametrize("words", OWN)
def test_a_task_may_be_any_notation(words):
    task = tasks.find(words)
    assert (str(task), task.letters, task.level) == (words, "", "")
    assert str(task.degradation(seed=7)) == str(parse(words, seed=7)) == str(tasks.get(words, seed=7))
    assert hash(task) == hash(pickle.loads(pickle.dumps(task)))


def test_levels_in_words():
    assert tasks.find("upsampling:L") == tasks.find("upsampling", "L")
    assert tasks.find("UN:s") == tasks.find("UN", "S")
    assert tasks.find("jpeg:L") == tasks.find("A", "L") and tasks.find("jpeg") == tasks.find("A")
    assert tasks.get("jpeg:30") == JPEG(30)  # no level: the stage


def test_a_task_holds_any_degradation():
    class Grey:
        def forward(self, x):
            return x.mean(1, keepdim=True).expand_as(x)

    x = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    task = tasks.own(Grey(), "grey")
    assert torch.equal(task.degradation(seed=3)(x), Grey().forward(x)) and str(task) == "grey"
    assert tasks.own(JPEG(30)).name == "jpeg:30"
    for without in (Grey(), Mask(torch.ones(8, 8)), Compose(Grey(), JPEG(3))):
        with pytest.raises(tasks.TaskError, match="has no notation; expected a name"):
            tasks.own(without)


def test_file_names_are_safe_and_differ():
    names = [t.file_name for t in tasks.SINGLE + tasks.COMPOSED]
    assert names[0] == "U-XS" and names[-1] == "UNAP-M"
    words = [*OWN, "downsample:3|jpeg:3,0", "Jpeg:30,4:4:4", "a" * 300, "../../x", "日本", "con", "x\\y:z"]
    names += [tasks.own(JPEG(3), name).file_name for name in words]
    assert len({name.lower() for name in names}) == len(names)
    assert all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9.-]{0,59}", name) for name in names), names


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tasks.find("N:24"), "unknown level '24'; expected one of XS"),
        (lambda: tasks.find("upsampling:XXL"), "unknown level 'XXL'"),
        (lambda: tasks.find("jpeg:30", "L"), "a degradation of one's own; expected no level, got 'L'"),
        (lambda: tasks.find("downsampel:3"), "unknown degradation 'downsampel'.*did you mean 'downsample'"),
        (lambda: tasks.find("jpeg:300"), "quality must be a whole number from 1 to 100, got 300"),
        (lambda: tasks.get("jpeg:30", compat="cvpr2023"), "expected compat in its stages, as jpeg:12,compat=cvpr2023"),
    ],
)
def test_wrong_words_are_one_clear_line(call, message):
    with pytest.raises(RusrError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
