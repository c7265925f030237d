"""The list of methods: what an entry promises, and how a method is found, configured and refused."""

from dataclasses import replace

import pytest
import torch

from rusr_core import baselines, citation
from rusr_core.baselines import METHODS, Baseline, BaselineError, Choice, Configured, Real, Whole
from rusr_core.citations import PAPERS
from rusr_core.degradations import parse
from rusr_core.presets import Preset
from rusr_core.results import Restoration
from rusr_core.search.stopping import RestorationError


def restored(prior, y, f, *, seed=0, callback=None, steps=7, lr=0.1) -> Restoration:
    return Restoration(torch.zeros(len(y), 3, 32, 32), 0.0, [steps] * len(y), seed, "x", {"references": []})


class Restorer(torch.nn.Module):
    """A network, whose `forward` restores."""

    def forward(self, prior, y, f, *, seed=0, lr=0.1) -> Restoration:
        return restored(prior, y, f, seed=seed)


def test_every_entry_is_sound():
    for name, method in METHODS.items():
        assert name == method.name and name not in ("default", "cvpr2023")
        assert method.paper is None or method.paper in PAPERS
        assert all(method.space[key].holds(method.settings[key]) for key in method.space)


def test_presets_and_methods_are_one_list():
    assert baselines.names()[:2] == ("default", "cvpr2023") and "nothing" in baselines.names()
    assert isinstance(baselines.find("default@30"), Preset)
    assert isinstance(baselines.find("nothing"), Configured)
    with pytest.raises(BaselineError, match="method 'pulsar': expected one of default, cvpr2023, nothing"):
        baselines.find("pulsar")
    with pytest.raises(BaselineError, match="method 'nothing' takes no steps"):
        baselines.find("nothing@5")


def test_settings_are_the_defaults_of_the_function():
    method = Baseline("x", restored, space={"lr": Real(0.01, 1, log=True), "steps": Whole(1, 10)})
    assert method.settings == {"steps": 7, "lr": 0.1}
    assert method.shortened(3).settings == {"steps": 3, "lr": 0.1} and method.shortened(3).name == "x@3"
    result = method.configured(lr=0.5).restore(None, torch.zeros(1, 3, 4, 4), parse("identity"))
    assert result.method == "x" and result.info["settings"] == {"steps": 7, "lr": 0.5} and result.steps == [7]
    assert Baseline("x", max).settings == {}, "it does not say what it takes"
    assert Baseline("x", Restorer(), space={"lr": Real(0.01, 1)}).settings == {"lr": 0.1}
    with pytest.raises(BaselineError, match="no setting 'rate': expected one of steps, lr"):
        method.configured(rate=1)
    with pytest.raises(BaselineError, match="the published lr, 0.1, is not in Real"):
        Baseline("x", restored, space={"lr": Real(0.2, 1)})
    with pytest.raises(BaselineError, match="needs the prior 'oracle'"):
        Baseline("x", restored, prior="oracle")


@pytest.mark.parametrize("told, papers", [(None, []), ("Nobody 2020", ["Nobody 2020"]), (("a", "b", "a"), ["a", "b"])])
def test_references_of_ones_own_are_a_list_of_papers(told, papers):
    def cites(prior, y, f, *, seed=0, callback=None):
        return replace(restored(prior, y, f), info={"references": told})

    configured = Baseline("x", cites).configured()
    assert configured.restore(None, torch.zeros(1, 3, 4, 4), parse("identity")).info["references"] == papers


@pytest.mark.parametrize(
    "space, message",
    [
        (["lr"], "its space is ['lr'], expected ranges by setting"),
        (None, "its space is None, expected ranges by setting"),
        ({"rate": Real(0.1, 1)}, "its space names 'rate', expected one of steps, lr"),
        ({"seed": Whole(0, 1)}, "its space names 'seed', expected one of steps, lr"),
        ({3: Whole(0, 1)}, "its space names 3, expected one of steps, lr"),
        ({"lr": (0.1, 1)}, "the space of lr is (0.1, 1), expected a Real, a Whole or a Choice"),
        ({"lr": Real}, "expected a Real, a Whole or a Choice"),
    ],
)
def test_a_space_that_is_none_is_refused_where_it_is_declared(space, message):
    with pytest.raises(BaselineError) as caught:
        Baseline("x", restored, space=space)
    assert str(caught.value).startswith("method 'x': ") and message in str(caught.value)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Whole(1.5, 6), "a range from 1.5 to 6: expected two whole numbers up to 2^53, the smaller one first"),
        (lambda: Whole(1, 2**53 + 1), "expected two whole numbers up to 2^53"),
        (lambda: Real("a", 1), "a range from 'a' to 1: expected two numbers, the smaller one first"),
        (lambda: Choice(3), "a choice of 3: expected a tuple of different words, numbers or None"),
        (lambda: Choice("abc"), "a choice of 'abc': expected a tuple"),
        (lambda: Choice(()), "a choice of (): expected"),
        (lambda: Choice((3, (1, 2))), "a choice of (3, (1, 2)): expected"),
        (lambda: Choice((True, 1, 2)), "a choice of (True, 1, 2): expected a tuple of different words"),
        (lambda: Choice((3, float("nan"))), "a choice of (3, nan): expected"),
        (lambda: Choice((None, [1])), "a choice of (None, [1]): expected"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused(make, message):
    """A database of trials takes True for 1, and rounds large whole numbers."""
    with pytest.raises(BaselineError) as caught:
        make()
    assert message in str(caught.value)


def test_a_setting_may_be_called_as_what_a_method_is_given():
    def mine(prior, y, operator, *, seed=0, callback=None, f=7, name="a", self=0.1):
        return restored(prior, y, operator, steps=f, lr=self)

    method = Baseline("x", mine, space={"f": Whole(1, 9), "name": Choice(["a", "b"]), "self": Real(0, 1)})
    assert method.configured("mine", f=3, name="b", self=0.5).settings == {"f": 3, "name": "b", "self": 0.5}


def test_what_the_other_functions_of_a_method_do_is_one_line():
    def ends(given):
        raise SystemExit(3)

    def wrong(given):
        return [given]

    asked = {
        "can": lambda method: method.reason(parse("blur:1")),
        "shorter": lambda method: method.shortened(3),
        "most": lambda method: method.configured().check_samples(2),
    }
    for name, ask in asked.items():
        with pytest.raises(BaselineError, match=f"{name} of method 'x' fails: SystemExit: 3"):
            ask(Baseline("x", restored, samples=True, **{name: ends}))
        with pytest.raises(BaselineError, match=rf"{name} of method 'x' gives \[.*: expected "):
            ask(Baseline("x", restored, samples=True, **{name: wrong}))
    with pytest.raises(BaselineError, match="fails: KeyError: 'rate'"):
        Baseline("x", restored, samples=True, most=lambda settings: settings["rate"]).configured().check_samples(2)


def test_settings_of_a_function_that_takes_its_first_three_arguments_as_one():
    def star(*given, seed=0, callback=None, lr=0.1):
        return restored(*given, lr=lr)

    def open_to_all(prior, y, f, **options):
        return restored(prior, y, f)

    assert Baseline("x", star, space={"lr": Real(0, 1)}).settings == {"lr": 0.1}
    with pytest.raises(BaselineError, match="names 'lr', expected no name: its function names no settings"):
        Baseline("x", open_to_all, space={"lr": Real(0, 1)})


def test_ranges():
    assert Real(0, 1).holds(0.5) and not Real(0, 1).holds(float("nan")) and not Real(0, 1).holds(True)
    assert Whole(1, 3).holds(3) and not Whole(1, 3).holds(2.5)
    assert Choice((None, 4)).holds(None) and not Choice((None, 4)).holds(5)


def test_what_a_method_cannot_do_is_said_before_it_begins():
    method = Baseline("x", restored, can=lambda f: "it knows no blur" if "blur" in str(f) else None)
    with pytest.raises(BaselineError, match=r"x is n/a for blur:width=2: it knows no blur"):
        method.configured().restore(None, torch.zeros(1, 3, 4, 4), parse("blur:2.0"))


SHORT = {"mganprior": {"codes": 2, "split": 8}, "lbrgm": {"starts": 2}, "pti": {"enough": 0.0, "share": 0.5}}
SHORT["na_nhmc"] = {"leaps": 2, "samples": 1}


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if method.prior == "generator"])
def test_ctrl_c_ends_a_search_with_what_there_is(name, prior, truth):
    f, seen = parse("downsample:2,bilinear"), []
    y = f.degrade(truth[:2])

    def stop(step):
        seen.append(step.image())
        if len(seen) == 3:
            raise KeyboardInterrupt

    result = METHODS[name].configured(steps=8, **SHORT.get(name, {})).restore(prior, y, f, callback=stop)
    assert result.interrupted and result.steps == [3, 3] and result.image.shape == truth[:2].shape
    if name in ("brgm", "lbrgm", "mganprior"):  # whose steps are the same whatever their number
        whole = METHODS[name].configured(steps=3, **SHORT.get(name, {})).restore(prior, y, f)
        assert not whole.interrupted and torch.equal(result.image, whole.image)
    if name == "pulse":
        assert all(any(torch.equal(result.image[i], image[i]) for image in seen) for i in range(2))
    if name == "na_nhmc":
        assert torch.equal(result.image, seen[-1]) and result.drawn.shape[1] == 1


def test_ctrl_c_ends_the_tuning_of_a_generator(prior, truth):
    def stop(step):
        if step.phase == "weights":
            raise KeyboardInterrupt

    method = METHODS["pti"].configured(steps=6, share=0.5, enough=0.0)
    result = method.restore(prior, truth[:1], parse("identity"), callback=stop)
    assert result.interrupted and result.steps == [4] and result.info["tuned"] == [1]


def test_the_papers_of_a_result(prior, truth):
    f = parse("downsample:4,bilinear")
    result = baselines.find("classical").restore(prior, f.degrade(truth), f)
    assert "scikit-image" in citation(result, "text") and result.seconds > 0


def test_what_does_not_fit_is_refused(prior, truth):
    with pytest.raises(RestorationError, match="f did not make y"):
        baselines.find("nothing").restore(prior, truth, parse("downsample:2,bilinear"))
    with pytest.raises(RestorationError, match="seed is -1"):
        baselines.find("nothing").restore(prior, truth, parse("identity"), seed=-1)
