"""`--prior MODULE:NAME`: a generator of one's own restores and is benchmarked, and is told what it lacks."""

import pytest

from rusr_core import commands
from rusr_core.errors import RusrError
from rusr_core.photos.records import read_record
from rusr_core.priors import load_prior, portraits_net

OWN = '''
import torch
from rusr_core.prior import Prior


class Tint(torch.nn.Module):
    """Images of one colour: the smallest generator there is."""

    resolution, w_std = 32, 1.0

    def __init__(self):
        super().__init__()
        self.colour = torch.nn.Parameter(torch.eye(3))
        self.register_buffer("w_mean", torch.zeros(3))

    def widen(self, ws, space):
        if space == "W":
            return ws
        ws = ws[:, None] if ws.ndim == 2 else ws
        return ws if space == "W+" else ws[:, None]

    def image(self, ws):
        code = ws.reshape(len(ws), 3)
        return (code @ self.colour).sigmoid()[..., None, None].expand(-1, 3, 32, 32)


class Elsewhere(Tint):
    w_mean = torch.zeros(3, device="meta")

    def __init__(self):
        torch.nn.Module.__init__(self)


class Bare:
    resolution = 32


def whole():
    return Prior.of(Tint(), look, name="tints")


def look_of():
    from rusr_core.priors import portraits_net
    return portraits_net()


def fails():
    raise KeyError("no weights")


def ends():
    raise SystemExit(0)


look = look_of()
tint, number = Tint(), 3
'''


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A folder that holds own_gan.py, in which commands are given."""
    (tmp_path / "own_gan.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "own_gan", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["tint", "Tint"])
def test_a_generator_is_loaded_frozen_by_its_words(own, name):
    prior = load_prior(f"own_gan:{name}", perceptual="portraits")
    assert (prior.name, prior.resolution, prior.lr_scale) == (f"own_gan:{name}", 32, 1 / 12)
    assert prior.identity is None and type(prior.perceptual) is type(portraits_net())
    assert not prior.generator.training and not any(p.requires_grad for p in prior.generator.parameters())


def test_a_whole_prior_keeps_its_networks_and_its_name(own):
    prior = load_prior("own_gan:whole")
    assert prior.name == "tints" and prior.perceptual is not None and prior.identity is None
    assert load_prior("own_gan:whole", perceptual=False).perceptual is None
    assert load_prior("own_gan:whole", identity="portraits").identity is not None


@pytest.mark.parametrize(
    "name, message",
    [
        ("missing", "own_gan has no 'missing'"),
        ("number", "int has no resolution, w_mean, w_std, widen, image: expected what LatentGenerator lists"),
        ("Bare", "Bare has no w_mean, w_std, widen, image: expected what LatentGenerator lists"),
        ("fails", r"own_gan:fails\(\) fails: KeyError: 'no weights'"),
        ("ends", r"own_gan:ends\(\) fails: SystemExit: 0"),
        ("Elsewhere", "own_gan:Elsewhere lives on meta: expected cpu"),
    ],
)
def test_what_is_no_prior_is_one_line(own, name, message):
    with pytest.raises(RusrError, match=message) as caught:
        load_prior(f"own_gan:{name}", perceptual=False)
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_there_and_a_class_are_refused(own):
    with pytest.raises(RusrError, match="'no_gan:G': cannot import no_gan"):
        load_prior("no_gan:G")
    with pytest.raises(RusrError, match="own_gan:tint, class 3: .*expected no class"):
        load_prior("own_gan:tint", label=3)
    with pytest.raises(RusrError, match="perceptual network 'vgg': expected 'lpips' or 'portraits'"):
        load_prior("own_gan:tint", perceptual="vgg")


def test_a_picture_is_restored_with_it(own, config, capsys):
    words = ["restore", str(config.images / "000.png"), "out.png", "--prior", "own_gan:tint", "--steps", "2"]
    assert commands.main([*words, "--degradation", "jpeg:30", "--perceptual", "portraits"]) == 0
    assert read_record(own / "out.png")["prior"] == "own_gan:tint"


@pytest.mark.slow
def test_it_is_benchmarked_over_processes_and_a_changed_source_is_refused(own, config, capsys):
    bench = ["bench", "out", "--prior", "own_gan:Tint", "--perceptual", "portraits", "--judge", config.judge]
    bench += ["--images", str(config.images), "--num-images", "2", "--tasks", "deartifacting:M", "--workers", "2"]
    bench += ["--methods", "nothing", "default@1", "classical"]
    assert commands.main(bench) == 0
    assert "0 failed" in capsys.readouterr().out
    (own / "own_gan.py").write_text(OWN.replace("sigmoid()", "tanh()"))
    assert commands.main(bench) == 2
    assert "prior_source was" in capsys.readouterr().err
    tune = ["tune", "classical", "studies", *bench[2:8], "--num-images", "1", "--tasks", "deartifacting:M"]
    assert commands.main([*tune, "--images", str(config.images), "--trials", "1"]) == 0
