"""Priors by name and by path, and the size of their W."""

import json
import shutil
import threading

import pytest
import torch
from checkpoint_writers import write_nvidia, write_rosinality
from conftest import random_generator
from download_server import served

from rusr_core import zoo
from rusr_core.checkpoints import load_generator, save_generator
from rusr_core.commands import main
from rusr_core.files import data_path
from rusr_core.generator import Mapping
from rusr_core.images import load_image
from rusr_core.priors import ZooError, load_prior
from rusr_core.priors.w_std import mapping_digest, prior_w_std


def run(*words: object) -> int:
    return main(["zoo", *map(str, words)])


def test_the_embedded_prior():
    prior = load_prior()
    assert prior.name == "portraits-128" and prior.identity is prior.perceptual
    assert prior.lr_scale == prior.w_std / 12
    assert prior.w_std == pytest.approx(prior.generator.mapping.measure_std(500, seed=1), rel=0.05)
    assert not any(p.requires_grad for p in prior.generator.parameters())
    assert not list(data_path("portraits").glob("*.w_std.json"))


def test_portraits_by_number():
    two = zoo.portraits((3, 98))
    assert two.shape == (2, 3, 128, 128)
    assert torch.equal(two[1:], load_image(data_path("portraits/test/098.png")))
    assert zoo.portraits([3], 32).shape == (1, 3, 32, 32)
    with pytest.raises(zoo.ZooError, match="portrait.s number is 100: expected a whole number from 0 to 99"):
        zoo.portraits([100])


def test_priors_by_path_in_every_format(tmp_path, cache):
    G = random_generator(resolution=16, channels=(8, 6, 4))
    write_nvidia(G, tmp_path / "n.pkl")
    write_rosinality(G, tmp_path / "r.pt")
    save_generator(G, tmp_path / "s.safetensors", {"w_std": "2.5"})
    priors = [load_prior(tmp_path / name, perceptual="portraits") for name in ("n.pkl", "r.pt", "s.safetensors")]
    w = torch.zeros(1, 20)
    for prior in priors:
        torch.testing.assert_close(prior.generator.image(w), G.image(w))
        assert prior.identity is None and prior.lr_scale == prior.w_std / 12
    assert priors[0].name == "n" and priors[2].w_std == 2.5
    assert priors[0].w_std == pytest.approx(G.mapping.measure_std())
    with_identity = load_prior(tmp_path / "n.pkl", perceptual="portraits", identity="portraits")
    assert with_identity.identity.embed(torch.rand(1, 3, 64, 64, generator=torch.Generator())).shape == (
        1,
        128,
    )
    for wrong in ("nan", "-1", "0", "inf", "wide"):
        save_generator(G, tmp_path / "s.safetensors", {"w_std": wrong})
        with pytest.raises(ZooError, match="expected a positive number"):
            load_prior(tmp_path / "s.safetensors", perceptual="portraits")
    with pytest.raises(ZooError, match="perceptual network 'vgg'"):
        load_prior(tmp_path / "n.pkl", perceptual="vgg")


def test_ffhq_by_name_keeps_the_published_rates(tmp_path, cache, server, monkeypatch):
    """The zoo's path end to end, with a local server in the place of the publisher's."""
    G = random_generator(resolution=16, channels=(8, 6, 4))
    write_nvidia(G, tmp_path / "n.pkl")
    server.content = (tmp_path / "n.pkl").read_bytes()
    rows = zoo.table()
    monkeypatch.setattr("rusr_core.priors.zoo.table", lambda: {n: served(e, server.url) for n, e in rows.items()})
    prior = load_prior("ffhq-1024", perceptual="portraits")
    assert prior.name == "ffhq-1024" and prior.lr_scale == 1.0
    other = load_prior("metfaces-1024", perceptual="portraits")
    assert other.lr_scale == other.w_std / 12 != 1.0
    with pytest.raises(ZooError, match="no identity network applies"):
        load_prior("brecahad-512", perceptual="portraits", identity="portraits")
    assert sorted(p.name for p in (cache / "ffhq-1024").iterdir() if p.suffix != ".lock") == [
        "weights.bin",
        "weights.bin.sha256",
        "weights.bin.w_std.json",
    ]
    rows = {"ffhq-1024": rows["ffhq-1024"]}
    by_path = load_prior(cache / "ffhq-1024" / "weights.bin", perceptual="portraits")  # the zoo's own download
    assert (by_path.name, by_path.lr_scale) == ("ffhq-1024", 1.0)
    for source in (cache / "ffhq-1024" / "weights.bin", "ffhq-1024"):
        run("convert", source, tmp_path / "converted.safetensors", "--force")
        converted = load_prior(tmp_path / "converted.safetensors", perceptual="portraits")
        assert (converted.name, converted.lr_scale) == ("ffhq-1024", 1.0)


def test_a_file_name_tells_nothing(tmp_path, cache):
    """Rates follow the weights: by the digest of the mapping network, whatever the file is called and of what kind."""
    other = random_generator(1, resolution=8, channels=(4, 4))
    for name in ("ffhq.pkl", "ffhq-1024.pkl", "stylegan2-ffhq-1024x1024.pkl", "portraits-128.pkl", "generator.pkl"):
        write_nvidia(other, tmp_path / name)
        prior = load_prior(tmp_path / name, perceptual="portraits")
        assert prior.lr_scale == prior.w_std / 12 and prior.identity is None
        run("convert", tmp_path / name, tmp_path / "c.safetensors", "--force")
        assert load_prior(tmp_path / "c.safetensors", perceptual="portraits").lr_scale == prior.lr_scale


def test_a_digest_in_the_table_tells_the_network_in_any_file(tmp_path, cache, monkeypatch):
    G = random_generator(0, resolution=8, channels=(4, 4))
    write_nvidia(G, tmp_path / "mine.pkl")
    write_rosinality(G, tmp_path / "mine.pt")
    rows = zoo.table()
    known = zoo.Entry(**(vars(rows["ffhq-1024"]) | {"mapping_sha256": mapping_digest(G)}))
    monkeypatch.setattr("rusr_core.priors.load.table", lambda: rows | {"ffhq-1024": known})
    for name in ("mine.pkl", "mine.pt"):
        assert load_prior(tmp_path / name, perceptual="portraits").lr_scale == 1.0
    write_nvidia(random_generator(1, resolution=8, channels=(4, 4)), tmp_path / "mine.pkl")
    assert load_prior(tmp_path / "mine.pkl", perceptual="portraits").lr_scale != 1.0


def test_the_embedded_prior_by_path_is_the_embedded_prior(tmp_path, cache):
    shutil.copy(data_path("portraits/generator.safetensors"), tmp_path / "copy.bin")
    expected = load_prior()
    assert expected.generator.synthesis.b8.conv0.weight.is_contiguous(memory_format=torch.channels_last)
    for path in (data_path("portraits/generator.safetensors"), tmp_path / "copy.bin"):
        prior = load_prior(path)
        assert (prior.name, prior.lr_scale, prior.w_std) == (expected.name, expected.lr_scale, expected.w_std)
        assert prior.identity is prior.perceptual
        for ours, theirs in (
            (prior.generator, expected.generator),
            (prior.perceptual, expected.perceptual),
        ):
            for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
                assert torch.equal(a, b) and a.stride() == b.stride(), name
    changed = load_prior()
    changed.generator.mapping.w_avg += 1
    save_generator(changed.generator, tmp_path / "portraits-128.safetensors", {"w_std": "3.0"})
    assert not zoo.locate(tmp_path / "portraits-128.safetensors").portraits


def test_a_header_names_the_networks(tmp_path, cache):
    """As our training scripts write it, and `rusr zoo convert` keeps it."""
    G = random_generator(resolution=16, channels=(8, 6, 4))
    save_generator(G, tmp_path / "own.safetensors", {"networks": "portraits", "w_std": "2.5"})
    prior = load_prior(tmp_path / "own.safetensors")
    assert prior.name == "own" and prior.lr_scale == 2.5 / 12 and prior.identity is prior.perceptual is not None
    run("convert", tmp_path / "own.safetensors", tmp_path / "again.safetensors", "--half")
    assert load_prior(tmp_path / "again.safetensors").identity is not None
    run("convert", "portraits-128", tmp_path / "embedded.safetensors")
    assert load_prior(tmp_path / "embedded.safetensors").identity is not None


def test_identity_can_be_switched_off(tmp_path, cache):
    assert load_prior(identity=False).identity is None
    assert load_prior(identity=False).perceptual is not None
    with pytest.raises(ZooError, match="identity True: expected a name"):
        load_prior(identity=True)
    save_generator(random_generator(resolution=8, channels=(4, 4)), tmp_path / "g", {"w_std": "1.0"})
    assert load_prior(tmp_path / "g", perceptual="portraits", identity=False).identity is None


def test_the_old_name_of_w_std_is_read(tmp_path, cache):
    save_generator(random_generator(resolution=8, channels=(4, 4)), tmp_path / "g", {"w_radius": "4.5"})
    assert load_prior(tmp_path / "g", perceptual="portraits").w_std == 4.5


def test_grey_and_conditional_priors(tmp_path, cache, capsys):
    grey = random_generator(resolution=32, channels=(8, 6, 4, 4), img_channels=1)
    write_nvidia(grey, tmp_path / "grey.pkl")
    prior = load_prior(tmp_path / "grey.pkl", perceptual="portraits")
    x = prior.generator.image(prior.generator.w_mean[None])
    assert x.shape == (1, 3, 32, 32) and len(prior.perceptual.features(x)) == 4
    run("convert", tmp_path / "grey.pkl", tmp_path / "grey.safetensors")
    assert "32 px, grey" in capsys.readouterr().out
    assert load_generator(tmp_path / "grey.safetensors").config.img_channels == 1
    write_nvidia(random_generator(resolution=8, channels=(4, 4), c_dim=3), tmp_path / "classes.pkl")
    run("convert", tmp_path / "classes.pkl", tmp_path / "classes.safetensors")
    assert "3 classes" in capsys.readouterr().out


def test_threads_load_one_prior(tmp_path, cache):
    """Nothing global is touched while networks are loaded, and what is kept beside the weights is whole."""
    write_nvidia(random_generator(resolution=8, channels=(4, 4)), tmp_path / "n.pkl")
    found: list = [None] * 6

    def load(i: int) -> None:
        found[i] = load_prior(tmp_path / "n.pkl", perceptual="portraits")

    threads = [threading.Thread(target=load, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({prior.w_std for prior in found}) == 1
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["n.pkl", "n.pkl.w_std.json"]
    assert json.loads((tmp_path / "n.pkl.w_std.json").read_text())["w_std"] == found[0].w_std


def test_the_radius_is_computed_once_and_belongs_to_its_weights(tmp_path, cache, monkeypatch):
    calls = []
    measure = Mapping.measure_std
    monkeypatch.setattr(Mapping, "measure_std", lambda mapping, label: calls.append(label) or measure(mapping, 100))
    path = tmp_path / "n.pkl"
    write_nvidia(random_generator(0, resolution=8, channels=(4, 4)), path)
    first = prior_w_std(load_generator(path), path)
    assert prior_w_std(load_generator(path), path) == first and len(calls) == 1
    assert json.loads((tmp_path / "n.pkl.w_std.json").read_text())["w_std"] == first
    write_nvidia(random_generator(1, resolution=8, channels=(4, 4)), path)
    assert prior_w_std(load_generator(path), path) != first and len(calls) == 2
    for n, damaged in enumerate(("{", "[1]", "[" * 100_000), 3):  # computed again
        (tmp_path / "n.pkl.w_std.json").write_text(damaged)
        prior_w_std(load_generator(path), path)
        assert len(calls) == n


def test_the_radius_of_weights_in_a_read_only_place(tmp_path, cache, monkeypatch):
    """Writing beside the weights fails (here: for everybody, root too); the cache folder takes it."""
    path = tmp_path / "n.pkl"
    write_nvidia(random_generator(resolution=8, channels=(4, 4)), path)
    (tmp_path / "n.pkl.w_std.json").mkdir()
    radius = prior_w_std(load_generator(path), path)
    kept = list((cache / "w_std").iterdir())
    assert len(kept) == 1 and json.loads(kept[0].read_text())["w_std"] == radius
    monkeypatch.setattr(Mapping, "measure_std", None)
    assert prior_w_std(load_generator(path), path) == radius
