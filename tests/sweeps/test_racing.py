"""Racing: a trial of `rusr tune` that is behind the best one ends early, and the same settings win."""

import math
import tomllib
from collections import Counter

import pytest
import torch
from sweep_world import config_of

from rusr_core.baselines import Baseline, Real
from rusr_core.restore import Restoration
from rusr_core.sweeps import parse_tasks, tuned_files
from rusr_core.sweeps.trials import Trials, TuningError, database
from rusr_core.sweeps.tuning import TuningPlan, tune

SPACE, FIRST = {"a": Real(0.01, 1, log=True)}, {"a": 0.1}


def grey(prior, y, f, *, seed=0, callback=None, a=1.0) -> Restoration:
    """An image of the shade a."""
    side = prior.generator.resolution
    return Restoration(torch.full((len(y), 3, side, side), a), 0.0, [0] * len(y), seed, "grey", {"references": []})


@pytest.mark.slow
def test_a_trial_that_is_behind_is_not_tried_on_the_other_portraits(world, tmp_path):
    """With and without a race the same settings are proposed, the first being random, and the same one wins."""
    base, tasks = Baseline("grey", grey, space={"a": Real(0.01, 1)}), parse_tasks(["deartifacting:M", "upsampling:XS"])
    images, found = ("000", "001", "002", "003"), {}
    for race in (True, False):
        config = config_of(world, tmp_path / str(race), methods=())
        wanted = TuningPlan(base, tasks, images, 9, race=race)
        studies = tune(config, wanted, one=False)
        path = tuned_files.write(config.folder, config, wanted, studies)
        found[race] = studies["deartifacting:M"], tomllib.loads(path.read_text())
    (raced, told), (whole, all_told) = found[True], found[False]
    assert [settings for settings, _ in raced.finished()] == [settings for settings, _ in whole.finished()]
    assert raced.best() == whole.best() and whole.ended_early() == 0
    counts = Counter(settings for settings, _ in raced.scores())
    early = [count for count in counts.values() if count < 4]
    assert len(early) == raced.ended_early() >= 3 and set(early) == {2}
    for (_, expected), (_, value) in zip(raced.finished(), whole.finished(), strict=True):
        assert expected == value or (expected > raced.best()[1] and value > whole.best()[1])
    study = told["tasks"]["deartifacting:M"]
    assert study["ended_early"] == len(early) and study["trials"] == 9 and told["provenance"]["race"] is True
    assert all_told["tasks"]["deartifacting:M"]["ended_early"] == 0
    with pytest.raises(TuningError, match="race was true, is now false"):
        tune(config_of(world, tmp_path / "True", methods=()), TuningPlan(base, tasks, images, race=False))


@pytest.mark.parametrize(
    "mine, expected",
    [
        ({"x": 0.2, "y": 0.6}, 0.5 * math.sqrt(2 * 1.5)),  # two of two are behind: the best value times the ratios
        ({"x": 0.05, "y": 0.6}, None),
        ({"x": 0.2}, None),  # one is not enough
        ({"x": 0.1, "y": 0.4}, None),  # as good
        ({"x": 0.05, "y": 0.41, "z": 1.61, "u": 0.81}, None),  # three by little, one ahead by much
        ({"x": 0.09, "y": 0.8, "z": 3.2, "u": 1.6}, 0.5 * (0.9 * 8) ** 0.25),
        ({"x": 0.2, "y": math.inf}, math.inf),
    ],
)
def test_what_is_behind_is_decided_by_the_ratios_of_the_same_scores(tmp_path, mine, expected):
    study = Trials(database(tmp_path / "race.db"), "race", SPACE, [FIRST], 0)
    assert study.current()[0] == FIRST and study.behind({"x": [9.0, 0.0]}) is None, "there is no best one yet"
    study.note({"x": [0.1, 1.0], "y": [0.4, 1.0], "z": [1.6, 1.0], "u": [0.8, 1.0]})
    study.tell(0.5)
    settings, _ = study.current()
    found = study.behind({name: [value, 1.0] for name, value in mine.items()})
    assert found == (expected if expected is None else pytest.approx(expected))
    assert study.looks(FIRST, [1, 2, 3]) == [[1, 2, 3]], "the published settings are seen whole"
    looks = study.looks(settings, list(range(9)))
    assert [len(look) for look in looks] == [2, 4, 8, 9] and sorted(looks[-1]) == list(range(9))
    assert all(looks[-1][: len(look)] == look for look in looks) and looks == study.looks(settings, list(range(9)))
    assert [len(look) for look in study.looks(settings, [1, 2])] == [2]
