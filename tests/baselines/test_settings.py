"""Settings that cannot be: every compared method refuses each of its own by name, before anything is computed."""

import pytest
import torch

from rusr_core import limits
from rusr_core.baselines import METHODS, BaselineError, Choice, Real, Whole, find, na_nhmc, settings
from rusr_core.baselines.descent import side_of
from rusr_core.baselines.observation import observe
from rusr_core.degradations import parse
from rusr_core.errors import RusrError
from rusr_core.prior import DiffusionPrior

NEVER = (float("nan"), float("inf"), -1, "3", True, [], 10**400, torch.zeros(2))
SETTINGS = [(name, setting) for name, method in METHODS.items() for setting in method.settings]
UNUSED = {"side": (None, 0, 8, 2.5), "locality": (), "space": ("W++", 1), "split": (3, 16.0, 64)}


def work_began(step: object) -> None:
    pytest.fail("the search began")


def refused(value: object, call) -> str:
    """The message of the error that names the value and what is expected."""
    with pytest.raises(RusrError) as caught:
        call(value)
    message = str(caught.value)
    assert "expected" in message and "\n" not in message, message
    assert limits.shown(value)[:40] in message, message
    return message


@pytest.mark.parametrize("name, setting", SETTINGS)
def test_a_setting_that_cannot_be(name, setting, prior, truth):
    method, f = METHODS[name], parse("jpeg:20" if setting.startswith("jpeg") else "downsample:2,bilinear")
    y = f.degrade(truth[:1])
    prior = DiffusionPrior("random", torch.nn.Identity(), torch.device("cpu")) if method.prior == "diffusion" else prior

    def call(value: object) -> None:
        method.function(prior, y, f, callback=work_began, **{setting: value})

    published = method.settings[setting]
    more = UNUSED.get(setting, (None, 0, 2.5, 10**30) if type(published) is int else (None,))
    for value in (*NEVER, *(v for v in more if v is not None or published is not None)):
        message = refused(value, call)
        assert setting in message, message


@pytest.mark.parametrize("steps", [0, -1, 2.5, 10**30, *NEVER])
def test_a_method_that_is_shortened_to_steps_that_cannot_be(steps):
    for name in ("brgm", "default", "dps"):
        assert name in refused(steps, lambda v, name=name: find(name, v))


@pytest.mark.parametrize("name", ["ddrm@30", "dps@1", "dps@1001"])
def test_a_number_of_steps_that_a_method_cannot_take_is_refused_by_its_name(name):
    method, _, steps = name.partition("@")
    with pytest.raises(BaselineError, match=f"method '{method}': steps is {steps}: expected a"):
        find(name)


@pytest.mark.parametrize("steps, samples", [(1, 1), (3, 1), (10, 2), (20, 5), (80, 5), (200, 5)])
def test_a_short_chain_keeps_fewer_samples(steps, samples):
    settings = find("na_nhmc", steps).settings
    na_nhmc._check(**{name: settings[name] for name in ("steps", "step", "leaps", "share", "samples")})
    assert settings["samples"] == samples and (settings["share"] == 0.25 or steps < 4)


@pytest.mark.parametrize("steps", ["0", "100001", "9" * 5000, "-1", "2.5", "", "nan", "1e3", "²"])
def test_a_name_with_steps_that_cannot_be(steps):
    for name in ("brgm", "default"):
        with pytest.raises(RusrError, match="expected") as caught:
            find(f"{name}@{steps}")
        assert len(str(caught.value)) < 400
    assert find("brgm@3").settings["steps"] == 3 and find("brgm", 100_000).name == "brgm@100000"


def test_two_numbers_of_steps_are_one_too_many():
    for name in ("brgm@3", "default@3"):
        with pytest.raises(BaselineError, match=f"'{name}' says its steps itself: expected no other, got 5"):
            find(name, 5)
        assert find(name, 3).name == name


@pytest.mark.parametrize("name", [None, 3, True, [], "x" * 10**6])
def test_a_name_that_is_none(name):
    with pytest.raises(BaselineError, match="expected one of default") as caught:
        find(name)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("seed", [2.5, 2**63, None, *NEVER])
def test_a_seed_that_cannot_be(seed, prior, truth):
    assert "seed is" in refused(seed, lambda v: observe(prior, truth, parse("identity"), v))


def test_ranges_and_their_ends():
    assert not Real(0, 1).holds(10**400) and not Whole(0, 2).holds(True)
    assert not Choice((0.0, 1.0)).holds(True) and Choice((True, 3)).holds(True) and Choice((0.0, 1.0)).holds(1)
    assert not Choice((None, 1)).holds(torch.zeros(2)) and not Choice((1,)).holds([])
    for kind in (Real, Whole):
        for low, high, log in ((1, 0, False), (0, 1, True), (float("nan"), 1, False), (0, float("inf"), False)):
            with pytest.raises(BaselineError, match=f"a range from {low} to {high}: expected"):
                kind(low, high, log)


def test_what_may_be_is_taken(prior):
    settings.check_counts(steps=1, codes=limits.MAX_STEPS)
    settings.check_weights(perc=0, pix=1e300)
    assert side_of(prior, 16) == 16 and side_of(prior, None) == 32
