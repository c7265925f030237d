"""A generator is found under any key and behind any prefix; which of several is taken; grey ones."""

import argparse
import pathlib

import pytest
import torch
from checkpoint_writers import rosinality_state, write_nvidia
from conftest import random_generator

from rusr_core.checkpoints import CheckpointError, load_generator

SMALL = dict(resolution=16, channels=(8, 6, 4))

KEYS = ("g_ema", "G_ema", "g", "G", "generator", "model", "params_ema", "params", "state_dict", "ema", "module", "netG")
KEYS += ("generator_ema", "model_state_dict", "net", "weights")


def same(G, H):
    return all(torch.equal(t, H.state_dict()[n]) for n, t in G.state_dict().items() if "resample" not in n)


@pytest.mark.parametrize("key", KEYS)
def test_a_generator_under_any_key(tmp_path, key):
    G = random_generator(**SMALL)
    torch.save({key: rosinality_state(G), "latent_avg": G.mapping.w_avg}, tmp_path / "r.pt")
    assert same(G, load_generator(tmp_path / "r.pt"))
    torch.save({"epoch": 3, "checkpoint": {key: G.state_dict()}}, tmp_path / "n.pt")
    assert same(G, load_generator(tmp_path / "n.pt"))


def test_a_generator_behind_any_prefix(tmp_path):
    G, key = random_generator(**SMALL), "anything"
    latent = {"latent_avg": G.mapping.w_avg}
    for content in (
        {key: {f"module.{k}": v for k, v in rosinality_state(G).items()} | latent},
        {key: {f"decoder.{k}": v for k, v in (rosinality_state(G) | latent).items()}, "args": argparse.Namespace(a=1)},
        {f"{key}.{k}": v for k, v in (rosinality_state(G) | latent).items()},
        [1, {key: {f"generator.{k}": v for k, v in G.state_dict().items()}}],
        argparse.Namespace(**{key: G.state_dict()}),
        {"mapping": {k[8:]: v for k, v in G.state_dict().items() if k.startswith("mapping.")}}
        | {"synthesis": {k[10:]: v for k, v in G.state_dict().items() if k.startswith("synthesis.")}},
    ):
        torch.save(content, tmp_path / "r.pt")
        assert same(G, load_generator(tmp_path / "r.pt")), list(content)


def test_a_whole_pickled_module(tmp_path):
    """torch.save(model): the classes are not there when it is read, and need not be."""
    G = random_generator(**SMALL, conv_clamp=2.5, mapping_lr=0.05)
    for zipped in (True, False):
        torch.save({"model": torch.nn.DataParallel(G)}, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
        H = load_generator(tmp_path / "m.pt")
        assert same(G, H) and (H.config.conv_clamp, H.config.mapping_lr) == (2.5, 0.05)


def test_the_average_is_preferred_and_the_choice_is_explicit(tmp_path):
    G, raw = random_generator(0, **SMALL), random_generator(1, **SMALL)
    for average, instantaneous in (("g_ema", "g"), ("G_ema", "G"), ("params_ema", "params"), ("ema", "model")):
        torch.save({instantaneous: raw.state_dict(), average: G.state_dict()}, tmp_path / "r.pt")
        assert same(G, load_generator(tmp_path / "r.pt"))
        assert same(raw, load_generator(tmp_path / "r.pt", network="G"))
        torch.save({average: G.state_dict()}, tmp_path / "r.pt")
        with pytest.raises(CheckpointError, match=f"only the averages '{average}'"):
            load_generator(tmp_path / "r.pt", network="G")
    torch.save({"cats": G.state_dict(), "dogs": raw.state_dict()}, tmp_path / "r.pt")
    with pytest.raises(CheckpointError, match="several generators in it, 'cats', 'dogs'"):
        load_generator(tmp_path / "r.pt")
    shared = G.state_dict()
    torch.save({"g": shared, "g_ema": shared}, tmp_path / "r.pt")  # one object, pickled once
    assert same(G, load_generator(tmp_path / "r.pt")) and same(G, load_generator(tmp_path / "r.pt", network="G"))


def test_what_is_no_generator_is_listed(tmp_path):
    for content, parts in (
        ({"state_dict": {"encoder.x": torch.ones(1)}, "opts": {}}, ("'state_dict', 'opts'", "'state_dict.encoder.x'")),
        ({f"key{i}": 0 for i in range(50)}, ("'key0'", "'key5', ...")),
        ({}, ("an empty one",)),
        ({"G_ema": torch.device("cpu")}, ("'G_ema' (a 'torch.device')",)),
        (pathlib.PurePosixPath("x"), ("no container",)),
    ):
        torch.save(content, tmp_path / "r.pt")
        with pytest.raises(CheckpointError, match=r"^r\.pt: no StyleGAN generator") as caught:
            load_generator(tmp_path / "r.pt")
        message = str(caught.value)
        assert all(
            part in message for part in (*parts, "style.1.weight", "synthesis.b4.conv1.weight", "synthesis.input.freqs")
        )
        assert len(message) < 400


# ---- generators of other images


def test_grey_generators_give_three_equal_channels(tmp_path):
    G = random_generator(**SMALL, img_channels=1)
    write_nvidia(G, tmp_path / "n.pkl")
    torch.save({"g_ema": rosinality_state(G)}, tmp_path / "r.pt")
    w = G.mapping.w_avg[None]
    for name in ("n.pkl", "r.pt"):
        H = load_generator(tmp_path / name)
        x = H.image(w)
        assert x.shape == (1, 3, 16, 16) and torch.equal(x[:, 0], x[:, 1]) and torch.equal(x[:, 0], x[:, 2])
        torch.testing.assert_close(x[:, :1], H.synthesis(w) * 0.5 + 0.5)
        assert H.config.img_channels == 1


@pytest.mark.parametrize("channels", [2, 4, 6])
def test_other_numbers_of_channels_are_refused_by_name(tmp_path, channels):
    G = random_generator(**SMALL)
    for block in (G.synthesis.b4, G.synthesis.b8, G.synthesis.b16):
        rgb = block.torgb
        rgb.weight = torch.nn.Parameter(torch.ones(channels, *rgb.weight.shape[1:]))
        rgb.bias = torch.nn.Parameter(torch.ones(channels))
    write_nvidia(G, tmp_path / "rgba.pkl")
    torch.save(G.state_dict(), tmp_path / "rgba.pt")
    for name in ("rgba.pkl", "rgba.pt"):
        with pytest.raises(CheckpointError, match=rf"^{name}: .*{channels} channels, expected 3 \(RGB\) or 1 \(grey\)"):
            load_generator(tmp_path / name)
