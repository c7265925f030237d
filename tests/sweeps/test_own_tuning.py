"""A `Baseline` of one's own is tuned and compared with what was found, as the methods of the library are."""

import pickle
import shutil
import sys
import tomllib

import pytest
import torch

from rusr_core import commands
from rusr_core.baselines import BaselineError
from rusr_core.degradations import parse
from rusr_core.errors import RusrWarning
from rusr_core.images import load_image
from rusr_core.photos.records import read_record
from rusr_core.sweeps import parse_methods
from rusr_core.sweeps.own_methods import own_baseline

OWN = '''
import os
from pathlib import Path

import torch
from rusr_core.baselines import Baseline, BaselineError, Choice, Real
from rusr_core.errors import RusrError
from rusr_core.restore import Restoration


def grey(prior, y, f, *, seed=0, callback=None, shade=0.9, broken=False):
    """An image of one shade, which is best near that of the portraits."""
    if broken or shade > 0.95:
        raise BaselineError("too light")
    side = prior.generator.resolution
    shade = float("nan") if shade < 0.15 else shade
    return Restoration(torch.full((len(y), 3, side, side), shade), 0.0, [0] * len(y), seed, "grey")


def fails(prior, y, f, *, seed=0, callback=None, shade=0.9):
    return [][int(shade)]


def only_jpeg(f):
    return None if "jpeg" in str(f) else "it knows JPEG alone"


class Its(RusrError):
    """An error of one's own, which cannot be sent from one process to another."""

    def __init__(self, what, why):
        super().__init__(f"{what}: {why}")


def says_no(prior, y, f, *, seed=0, callback=None, shade=0.9):
    raise Its("mine", "cannot")


def bytes_of(prior, y, f, *, seed=0, callback=None, shade=0.9):
    side = prior.generator.resolution
    return Restoration(torch.full((len(y), 3, side, side), 255 * shade), 0.0, [0] * len(y), seed, "bytes")


def moves(prior, y, operator, *, seed=0, callback=None, f=0.5, name="a", steps=3):
    os.chdir(Path(__file__).parent / "elsewhere")
    torch.set_default_dtype(torch.float64)
    return grey(prior, y, operator, shade=f)


class Careful(Baseline):
    """One that says itself what it cannot do, and is made as its owner likes."""

    def __init__(self, limit):
        super().__init__("careful", grey, space={"shade": Real(0.01, 1)})
        object.__setattr__(self, "limit", limit)

    def reason(self, f):
        return None if len(str(f)) < self.limit else "too much for it"


shaded = Baseline("shaded", grey, space={"shade": Real(0.01, 1)}, can=lambda f: only_jpeg(f))
defect = Baseline("defect", fails, space={"shade": Real(0.01, 1)})
own_error = Baseline("own_error", says_no, space={"shade": Real(0.01, 1)})
in_bytes = Baseline("in_bytes", bytes_of, space={"shade": Real(0.01, 1)})
moving = Baseline("moving", moves, space={"f": Real(0.2, 0.6), "name": Choice(("a", "b"))})
careful = Careful(9)
denoises = Baseline("denoises", grey, space={"shade": Real(0.01, 1)}, prior="diffusion")
'''


@pytest.fixture
def words(config, tmp_path, monkeypatch) -> list[str]:
    """What `rusr tune` and `rusr bench` share in the small world, in a folder that holds own_tuned.py."""
    (tmp_path / "own_tuned.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_tuned", raising=False)
    found = ["--prior", config.prior, "--perceptual", "portraits", "--judge", config.judge]
    return [*found, "--images", str(config.images), "--num-images", "2"]


@pytest.mark.slow
def test_it_is_tuned_and_compared_with_what_was_found(words, config, tmp_path, capsys):
    tune = ["tune", "mine=own_tuned:shaded", "studies", *words, "--trials", "10", "--workers", "2"]
    assert commands.main([*tune, "--tasks", "deartifacting:M", "upsampling:XS"]) == 0
    out = capsys.readouterr().out
    assert "n/a: mine on upsampling XS: it knows JPEG alone" in out and "20 trials" in out
    found = tomllib.loads((tmp_path / "studies/mine.toml").read_text())
    assert found["method"] == "mine" and found["published"] == {"shade": 0.9}
    assert found["provenance"]["function"] == "own_tuned:shaded" and len(found["provenance"]["source"]) == 64
    study = found["tasks"]["deartifacting:M"]
    shade = study["settings"]["shade"]
    assert 0.15 <= shade < 0.9 and study["score"] < study["published_score"]
    methods = ["nothing", "mine=own_tuned:shaded", "mine@one=own_tuned:shaded", "mine@tuned=own_tuned:shaded"]
    bench = ["bench", "out", *words, "--tasks", "deartifacting:M,upsampling:XS", "--tuned", "studies", "--methods"]
    assert commands.main([*bench, *methods]) == 2
    assert "mine@one was tuned on 2 of these images, as 000" in capsys.readouterr().err
    (tmp_path / "others").mkdir()
    for name in ("003.png", "004.png"):
        shutil.copy(config.images / name, tmp_path / "others")
    bench[bench.index("--images") + 1] = "others"
    assert commands.main([*bench, *methods]) == 0
    assert "n/a: mine@tuned on upsampling XS: it knows JPEG alone" in capsys.readouterr().out
    (path,) = (tmp_path / "out/units/mine@tuned").glob("*/003_0.png")
    assert load_image(path).sub(shade).abs().max() < 1 / 255
    picture = ["restore", "others/003.png", "out.png", *words[:4], "--degradation", "jpeg:30", "--tuned", "studies"]
    assert commands.main([*picture, "--method", "mine@one=own_tuned:shaded"]) == 0
    assert load_image(tmp_path / "out.png").sub(found["one"]["settings"]["shade"]).abs().max() < 1 / 255
    assert read_record(tmp_path / "out.png")["method"] == "mine@one=own_tuned:shaded"
    assert commands.main([*picture, "--method", "mine@one=own_tuned:shaded", "--steps", "3", "--force"]) == 2
    assert "has the steps that it was tuned with" in capsys.readouterr().err
    assert commands.main([*picture, "--method", "mine=own_tuned:shaded", "--force"]) == 2
    assert "--tuned" in capsys.readouterr().err
    assert commands.main(["report", "out", "--against", "mine"]) == 0
    assert "mine@tuned" in capsys.readouterr().out
    source = (tmp_path / "own_tuned.py").read_text()
    (tmp_path / "own_tuned.py").write_text(source.replace("0.95", "0.96"))
    for again in ([*bench, *methods], [*tune, "--tasks", "deartifacting:M"]):
        assert commands.main(again) == 2
        assert "source was" in capsys.readouterr().err


@pytest.mark.slow
def test_settings_belong_to_the_method_that_they_were_found_for(words, tmp_path, capsys):
    tune = ["tune", "mine=own_tuned:shaded", "studies", *words, "--trials", "1", "--tasks", "deartifacting:M"]
    assert commands.main([*tune, "--only", "each"]) == 0
    restore = ["restore", "out/000.png", "out.png", *words[:4], "--degradation", "jpeg:18", "--tuned", "studies"]
    capsys.readouterr()
    for method, message in (
        ("mine@tuned=own_tuned:careful", "holds settings of 'own_tuned:shaded', expected those of 'own_tuned:careful'"),
        ("mine@one=own_tuned:shaded", "holds no column 'one'; rusr tune mine=own_tuned:shaded finds it"),
    ):
        assert commands.main([*restore, "--method", method]) == 2
        err = capsys.readouterr().err
        assert f"studies/mine.toml: {message}" in err and err.count("\n") == 1
    source = (tmp_path / "own_tuned.py").read_text()
    (tmp_path / "own_tuned.py").write_text(source.replace("0.95", "0.96"))
    with pytest.warns(RusrWarning, match="own_tuned:shaded has changed since studies/mine.toml was found: rusr tune "):
        parse_methods(["mine@tuned=own_tuned:shaded"], tuned_in="studies")
    (tmp_path / "own_tuned.py").write_text(f"# a remark\n{source}")
    assert [m.name for m in parse_methods(["mine@tuned=own_tuned:shaded"], tuned_in="studies")] == ["mine@tuned"]


@pytest.mark.slow
def test_what_a_method_changes_and_how_its_settings_are_called_loses_nothing(words, tmp_path, capsys):
    (tmp_path / "elsewhere").mkdir()
    tune = ["tune", "mine=own_tuned:moving", "studies", *words, "--trials", "2", "--tasks", "deartifacting:M"]
    try:
        assert commands.main([*tune, "--to", "found"]) == 0
    finally:
        torch.set_default_dtype(torch.float32)
    assert "found/mine.toml: 4 trials" in capsys.readouterr().out and not list((tmp_path / "elsewhere").iterdir())
    found = tomllib.loads((tmp_path / "found/mine.toml").read_text())
    assert found["published"] == {"f": 0.5, "name": "a"} and found["one"]["failed"] == 0


@pytest.mark.slow
def test_a_study_without_an_image_is_said_with_its_reason(words, capsys):
    tune = ["tune", "mine=own_tuned:in_bytes", "studies", *words, "--trials", "2", "--tasks", "deartifacting:M"]
    assert commands.main([*tune, "--only", "one"]) == 1
    err = capsys.readouterr().err
    assert "one: none of 2 settings gave an image (own_tuned:in_bytes returned images with values in [" in err
    with pytest.raises(BaselineError, match=r"no column 'one'; no setting that was tried gave an image \(one\)"):
        parse_methods(["mine@one=own_tuned:in_bytes"], tuned_in="studies")


@pytest.mark.slow
def test_an_error_of_ones_own_finds_its_way_from_a_worker(words, capsys):
    tune = ["tune", "mine=own_tuned:own_error", "studies", *words, "--trials", "2", "--tasks", "deartifacting:M"]
    assert commands.main([*tune, "--workers", "2"]) == 2
    assert "own_tuned:own_error: Its: mine: cannot (" in capsys.readouterr().err


@pytest.mark.slow
def test_settings_that_fail_are_counted_and_a_defect_ends_the_tuning_until_it_is_mended(words, capsys, tmp_path):
    tune = ["tune", "defect=own_tuned:defect", "studies", *words, "--trials", "3", "--tasks", "deartifacting:M"]
    assert commands.main(tune) == 2
    line = 1 + OWN[: OWN.index("return [][")].count("\n")
    err = capsys.readouterr().err
    assert "own_tuned:defect: IndexError: " in err and f"own_tuned.py, line {line})" in err and err.count("\n") == 1
    assert not (tmp_path / "studies/defect.toml").exists()
    (tmp_path / "own_tuned.py").write_text(OWN.replace("[][int(shade)]", "grey(prior, y, f, shade=shade)"))
    sys.modules.pop("own_tuned")
    assert commands.main(tune) == 0, "nothing was scored that could be mixed"
    assert tomllib.loads((tmp_path / "studies/defect.toml").read_text())["one"]["trials"] == 3


@pytest.mark.parametrize(
    "word, message",
    [
        ("mine=own_tuned:grey", "mine has no settings that could be tuned: expected a space of them"),
        ("mine=own_tuned:missing", "own_tuned has no 'missing'"),
        ("mine=own_tuned", "'own_tuned': expected MODULE:NAME"),
        ("mine=own_tuned:denoises", "restores with a denoiser, expected a method of the generator"),
        ("../mine=own_tuned:shaded", "method name '../mine': expected letters, digits"),
        ("=own_tuned:shaded", "method name '': expected letters, digits"),
        ("brgm=own_tuned:shaded", "brgm=own_tuned:shaded: expected NAME=MODULE:NAME with a name that no method"),
        ("default=own_tuned:shaded", "with a name that no method of the library has, and no @"),
        ("mine@one=own_tuned:shaded", "with a name that no method of the library has, and no @"),
        ("own_tuned:shaded", "rusr bench and rusr tune take one of your own as NAME=MODULE:NAME"),
    ],
)
def test_what_cannot_be_tuned_is_one_line(words, tmp_path, capsys, word, message):
    assert commands.main(["tune", word, "studies", *words, "--tasks", "deartifacting:M"]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and not (tmp_path / "studies").exists()


def test_a_column_that_was_not_tuned_is_refused(words, capsys):
    bench = ["bench", "out", *words, "--tasks", "deartifacting:M", "--tuned", "studies", "--methods"]
    assert commands.main([*bench, "mine@tuned=own_tuned:shaded"]) == 2
    assert "mine has not been tuned: expected studies/mine.toml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "word, message",
    [
        ("mine@20=own_tuned:shaded", "expected NAME=MODULE:NAME or NAME@one=MODULE:NAME or NAME@tuned=MODULE:NAME"),
        ("mine@tune=own_tuned:shaded", "method 'mine@tune=own_tuned:shaded': expected NAME=MODULE:NAME or"),
        ("mine@one@one=own_tuned:shaded", "expected NAME=MODULE:NAME or NAME@one=MODULE:NAME"),
        ("@one=own_tuned:shaded", "method name '': expected letters, digits"),
        ("../mine@one=own_tuned:shaded", "method name '../mine': expected letters, digits"),
        ("=own_tuned:shaded", "method name '': expected letters, digits"),
        ("classical@one=own_tuned:shaded", "expected NAME@one=MODULE:NAME with a name that no method of the library"),
        ("report@tuned=own_tuned:shaded", "expected NAME@tuned=MODULE:NAME with a name that no method of the library"),
        ("mine=own_tuned:shaded", "expected mine@one=own_tuned:shaded or mine@tuned=own_tuned:shaded"),
    ],
)
def test_a_word_that_would_be_run_as_something_else_is_refused(words, capsys, word, message):
    """By rusr bench and by rusr restore alike."""
    bench = ["bench", "out", *words, "--tasks", "deartifacting:M", "--tuned", "studies", "--methods", word]
    restore = ["restore", "in.png", "out.png", "--degradation", "jpeg:30", "--tuned", "studies", "--method", word]
    for line in (bench, restore):
        assert commands.main(line) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1


def test_settings_that_were_found_have_their_steps(words, capsys):
    bench = ["bench", "out", *words, "--tasks", "deartifacting:M", "--steps", "3", "--methods"]
    assert commands.main([*bench, "mine@one=own_tuned:moving"]) == 2
    assert "method 'mine@one=own_tuned:moving' has the steps that it was tuned with" in capsys.readouterr().err


def test_a_class_of_ones_own_keeps_what_it_does(words):
    own = own_baseline("own_tuned:careful", "mine")
    for each in (own, pickle.loads(pickle.dumps(own)), own.configured(shade=0.2).baseline):
        assert (type(each).__name__, each.name, each.limit) == ("Careful", "mine", 9)
        assert each.reason(parse("jpeg:30")) is None and each.reason(parse("jpeg:30 | blur:1")) == "too much for it"
    assert {type(own).__mro__[i].__name__ for i in (1, 2)} == {"OwnBaseline", "Careful"}


def test_it_travels_by_its_words_whatever_it_holds(words):
    """A lambda could not be sent to another process."""
    own = own_baseline("own_tuned:shaded", "mine")
    again = pickle.loads(pickle.dumps(own))
    assert (again.name, again.reference, again.space, again.settings) == (
        ("mine", "own_tuned:shaded", own.space, {"shade": 0.9, "broken": False})
    )
    assert again.reason(parse("blur:1")) == "it knows JPEG alone"
    (method,) = parse_methods(["mine=own_tuned:shaded"])
    assert method.how == "own_tuned:shaded"
