"""The table of the zoo, and `rusr zoo`."""

import argparse
from pathlib import Path

import pytest
import torch
from checkpoint_writers import write_rosinality
from conftest import PORTRAIT, random_generator
from download_server import CONTENT, SHA, served

from rusr_core import zoo
from rusr_core.checkpoints import CheckpointError, load_generator, read_metadata
from rusr_core.commands import main
from rusr_core.commands import zoo as zoo_command
from rusr_core.files import FileError, FileExistsAlreadyError, cache_dir, data_path
from rusr_core.priors import ZooError, load_prior
from rusr_core.priors.downloads import DownloadError, file_sha256

# of the files that the READMEs of NVlabs/stylegan3 and autonomousvision/stylegan-xl list, as they write them
PLACES = {
    "3": "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan3/versions/1/files",
    "-": "https://s3.eu-central-1.amazonaws.com/avg-projects/stylegan_xl/models",
}


def test_the_table_is_honest():
    """Names of the report's domains; an address only with its source; a hash of 64 digits, or torch's first 8."""
    entries = zoo.table()
    domains = ("ffhq-1024", "lsun-car-512", "lsun-cat-256", "lsun-church-256", "lsun-horse-256", "afhqv2-512")
    assert {*domains, "brecahad-512", "metfaces-1024", "arcface", "facenet-vggface2"} <= set(entries)
    for entry in entries.values():
        assert entry.kind in ("prior", "identity", "perceptual") and entry.title and entry.license and entry.source
        assert entry.url == "" or entry.url.startswith("https://")
        assert len(entry.sha256) in (0, 8, 64)
        assert (entry.kind == "prior") == (entry.resolution is not None)


def test_stylegan3_and_stylegan_xl_are_in_it():
    """Each name says the family, the data set and the size that its address has; the READMEs list no others."""
    entries = [entry for entry in zoo.table().values() if entry.name.startswith(("stylegan3-", "stylegan-xl-"))]
    assert sum(entry.name.startswith("stylegan3-t-") for entry in entries) == 6
    assert sum(entry.name.startswith("stylegan3-r-") for entry in entries) == 6
    assert len(entries) == 26 and len({entry.url for entry in entries}) == 26
    for entry in entries:
        *_, data, size = entry.name.split("-")
        assert size == str(entry.resolution)
        file = {"3": f"{entry.name}x{size}", "-": data if data == "cifar10" else f"{data}{size}"}[entry.name[8]]
        assert entry.url == f"{PLACES[entry.name[8]]}/{file}.pkl" and entry.rates == ""
        assert entry.faces == (data in ("ffhq", "ffhqu", "metfaces", "metfacesu"))
    both = {"ffhq-1024", "ffhqu-1024", "ffhqu-256", "metfaces-1024", "metfacesu-1024", "afhqv2-512"}
    names = {f"stylegan3-{kind}-{name}" for kind in "tr" for name in both}
    large = {f"{data}-{size}" for data in ("imagenet", "ffhq", "pokemon") for size in (256, 512, 1024)}
    small = {"imagenet-16", "imagenet-32", "imagenet-64", "imagenet-128", "cifar10-32"}
    assert {entry.name for entry in entries} == names | {f"stylegan-xl-{name}" for name in large | small}


def test_vgg_is_the_file_that_torchvision_publishes(cache, monkeypatch):
    from torchvision.models import VGG16_Weights

    entry = zoo.find("lpips-vgg16")
    assert entry.url == VGG16_Weights.IMAGENET1K_V1.url and f"-{entry.sha256}." in entry.url
    assert entry.path == cache.parent / "hub" / "checkpoints" / "vgg16-397923af.pth"
    monkeypatch.setenv("RUSR_OFFLINE", "1")
    path = data_path("portraits/generator.safetensors")
    with pytest.raises(
        DownloadError, match="RUSR_OFFLINE.* for the perceptual network 'lpips'; .*--perceptual portraits needs"
    ):
        load_prior(path, perceptual="lpips")
    entry.path.parent.mkdir(parents=True)
    entry.path.write_bytes(b"another file")
    with pytest.raises(DownloadError, match="expected 397923af"):
        load_prior(path, perceptual="lpips")


def test_cache_follows_torch(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "rusr"
    monkeypatch.delenv("TORCH_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "torch" / "rusr"


def test_names_without_an_address_ask_for_a_path(cache):
    with pytest.raises(ZooError, match="supply a path"):
        load_prior("lsun-church-256")
    with pytest.raises(ZooError, match="'nonsense' is neither a file nor in the zoo"):
        load_prior("nonsense")
    with pytest.raises(ZooError, match="is a file and no name of the zoo: portraits-128, "):
        zoo.find(str(PORTRAIT))
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_prior("nowhere/network.pkl")


def run(*words: object) -> int:
    parser = argparse.ArgumentParser()
    zoo_command.options(parser)
    return zoo_command.run(parser.parse_args([str(w) for w in words]))


def test_command_list_and_info(capsys, cache):
    assert run("list") == 0
    text = capsys.readouterr().out
    assert "portraits-128" in text and "lsun-church-256" in text and "supply a path" in text
    assert run("info", "ffhq-1024") == 0
    text = capsys.readouterr().out
    assert "https://nvlabs-fi-cdn.nvidia.com/" in text and "pinned at the first download" in text
    run("info", "arcface")
    assert "supply a path" in capsys.readouterr().out
    run("info", "portraits-128")
    assert file_sha256(data_path("portraits/generator.safetensors")) in capsys.readouterr().out
    with pytest.raises(ZooError, match="'x' is neither"):
        run("info", "x")


def test_the_command_line_has_it(capsys, cache):
    assert main(["zoo", "list"]) == 0 and "ffhq-1024" in capsys.readouterr().out
    assert main(["zoo", "fetch", "lsun-horse-256"]) == 2
    message = capsys.readouterr().err
    assert "supply a path" in message and message.count("\n") == 1
    assert main(["zoo", "convert", __file__, "never.safetensors"]) == 2 and not Path("never.safetensors").exists()


def test_command_fetch(capsys, cache, server, monkeypatch):
    rows = zoo.table()
    monkeypatch.setattr("rusr_core.priors.zoo.table", lambda: {n: served(e, server.url) for n, e in rows.items()})
    assert run("fetch", "afhqcat-512") == 0
    text = capsys.readouterr()
    assert SHA in text.out and "pinned at the first download" in text.out
    assert "no publisher states a SHA-256" in text.err
    assert (cache / "afhqcat-512" / "weights.bin").read_bytes() == CONTENT
    run("fetch", "portraits-128")
    assert "embedded" in capsys.readouterr().out


def test_command_convert(tmp_path, capsys):
    G = random_generator(resolution=16, channels=(8, 6, 4))
    write_rosinality(G, tmp_path / "r.pt")
    out = tmp_path / "g.safetensors"
    assert run("convert", tmp_path / "r.pt", out) == 0
    assert "16 px" in capsys.readouterr().out
    H = load_generator(out)
    before = load_generator(tmp_path / "r.pt").state_dict()
    assert all(torch.equal(t, before[name]) for name, t in H.state_dict().items())
    assert float(read_metadata(out)["w_std"]) == G.mapping.measure_std()
    with pytest.raises(FileExistsAlreadyError, match="--force"):
        run("convert", tmp_path / "r.pt", out)
    with pytest.raises(FileError, match="no/such does not exist"):  # before a checkpoint is read
        run("convert", tmp_path / "none.pt", tmp_path / "no/such/g.safetensors")
    assert run("convert", tmp_path / "r.pt", out, "--half", "--force") == 0
    with pytest.raises(ZooError, match="ends in .safetensors"):
        run("convert", tmp_path / "r.pt", tmp_path / "g.pt")
