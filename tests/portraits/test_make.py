"""Remaking the prior: which programs run, in which order, and what happens when one fails."""

import sys

import pytest

from tools.portraits import make


@pytest.fixture
def commanded(monkeypatch, tmp_path):
    """Runs make's command line with programs that do nothing; -> the groups of programs that ran side by side."""

    def command(*words: str) -> list[list[str]]:
        groups: list[list[str]] = []
        note = lambda *programs: groups.append([" ".join(map(str, p)) for p in programs])  # noqa: E731
        monkeypatch.setattr(make, "run", note)
        monkeypatch.setattr(sys, "argv", ["make", "--work", str(tmp_path), *words])
        make.main()
        return groups

    return command


def test_from_nothing_each_step_finds_what_it_needs(commanded):
    groups = commanded()
    assert all(len(group) == 1 for group in groups)
    names = [group[0] for group in groups]
    order = ["render_training_set", "train_features", "tune_features", "train_features", "tune_features"]
    assert [n.split()[0].rsplit(".", 1)[-1] for n in names[:5]] == order
    assert "--balance 0.4" in names[2] and "--balance 0.12" in names[4]
    assert "--nproc-per-node=2 -m tools.portraits.training.train_generator" in names[5]
    assert "people_a.safetensors" in names[2] and "--net b" in names[3] and "people_b.safetensors" in names[4]
    assert names[6].startswith("tools.portraits.make_test") and not any("cuda" in n for n in names)


def test_shipped_weights_are_trained_further_side_by_side_on_a_gpu(commanded):
    groups = commanded("--device", "cuda", "--continue-shipped")
    assert [len(group) for group in groups] == [1, 3, 1]
    assert all("--device cuda" in program for group in groups[:2] for program in group)
    assert not any("train_features" in program for program in groups[1])
    assert "--forget-noise" in groups[1][2] and "torch.distributed" not in groups[1][2]


def test_the_shipped_generator_alone_is_sharpened_for_as_long_as_there_is_time(commanded):
    groups = commanded("--device", "cuda", "--sharpen-shipped", "--seconds", "200")
    assert [len(group) for group in groups] == [1, 1, 1]
    generator = groups[1][0]
    assert "--images 0 0 0 150000" in generator and "--seconds 200.0" in generator
    assert "--prior" in generator and "--forget-noise" not in generator


def test_a_program_that_fails_stops_the_rest():
    with pytest.raises(SystemExit) as stopped:
        make.run(("timeit", "--no-such-option"))  # Python's own, which starts at once
    assert stopped.value.code == 2
