"""The zoo: downloads from a local server, the table, priors by name and by path, `rusr zoo`."""

import argparse
import hashlib
import http.server
import json
import os
import shutil
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from checkpoint_writers import write_nvidia, write_rosinality
from conftest import random_generator

from rusr_core import zoo
from rusr_core.checkpoints import CheckpointError, load_generator, read_metadata, save_generator
from rusr_core.commands import main
from rusr_core.commands import zoo as zoo_command
from rusr_core.files import DataError, cache_dir, data_path
from rusr_core.generator import Mapping
from rusr_core.images import load_image
from rusr_core.priors import ZooError, downloads, load_prior
from rusr_core.priors.downloads import DownloadError, fetch, file_sha256
from rusr_core.priors.w_std import mapping_digest, prior_w_std

ROOT = Path(__file__).resolve().parents[2]
CONTENT = bytes(range(256)) * 20_000  # 5 MB
SHA = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` at any path, with ranges; `cut` ends each answer after that many bytes."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.cut, self.version, self.status = CONTENT, None, '"1"', 200
        self.requests: list[tuple[str, str]] = []
        self.location, self.delay = "", 0.0

    def handle_error(self, request, client_address):
        pass  # clients that hang up are part of the tests

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights.bin"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802
        server = self.server
        span = self.headers.get("Range", "")
        server.requests.append((self.path, span))
        if server.location:
            self.send_response(302)
            self.send_header("Location", server.location)
            self.end_headers()
            return
        time.sleep(server.delay)
        start = int(span.removeprefix("bytes=").rstrip("-")) if span else 0
        start = start if self.headers.get("If-Range") == server.version else 0
        body = server.content[start:]
        self.send_response(server.status if server.status != 200 else 206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if server.version:
            self.send_header("ETag", server.version)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.end_headers()
        self.wfile.write(body[: server.cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
        "RUSR_OFFLINE",
    ):
        monkeypatch.delenv(name, raising=False)
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "rusr"


def names(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir() if p.suffix != ".lock"}


# ---- downloads


def test_fetch_verifies_and_reports_progress(server, tmp_path):
    seen = []
    path = tmp_path / "a" / "weights.bin"
    assert fetch(server.url, path, SHA, lambda done, total: seen.append((done, total))) == SHA
    assert path.read_bytes() == CONTENT and names(path.parent) == {"weights.bin"}
    assert seen[-1] == (len(CONTENT), len(CONTENT)) and len(seen) > 2
    assert fetch(server.url, path, SHA) == SHA and len(server.requests) == 1  # not fetched again
    assert fetch(server.url, path, SHA[:8]) == SHA
    with pytest.raises(DownloadError, match="expected 00000000"):
        fetch(server.url, path, "0" * 8)


def test_an_interrupted_download_resumes(server, tmp_path):
    path = tmp_path / "weights.bin"
    server.cut = 2_000_000
    with pytest.raises(DownloadError, match="run the same command again"):
        fetch(server.url, path, SHA)
    assert not path.exists() and (tmp_path / "weights.bin.part").stat().st_size == 2_000_000
    server.cut = None
    assert fetch(server.url, path, SHA) == SHA
    assert [span for _, span in server.requests] == ["", "bytes=2000000-"]
    assert path.read_bytes() == CONTENT and names(tmp_path) == {"weights.bin"}


def test_a_file_that_changed_meanwhile_starts_again(server, tmp_path):
    path = tmp_path / "weights.bin"
    server.cut = 1_000_000
    with pytest.raises(DownloadError):
        fetch(server.url, path)
    server.cut, server.version, server.content = None, '"2"', CONTENT[::-1]
    fetch(server.url, path)
    assert path.read_bytes() == CONTENT[::-1]


def test_without_a_version_the_download_starts_again(server, tmp_path):
    server.cut, server.version = 1_000_000, ""
    with pytest.raises(DownloadError):
        fetch(server.url, tmp_path / "weights.bin")
    server.cut = None
    fetch(server.url, tmp_path / "weights.bin")
    assert [span for _, span in server.requests] == ["", ""]


def test_a_wrong_checksum_leaves_nothing(server, tmp_path):
    with pytest.raises(DownloadError, match=f"SHA-256 is {SHA}, expected {'0' * 64}"):
        fetch(server.url, tmp_path / "weights.bin", "0" * 64)
    assert names(tmp_path) == set()


def test_the_first_hash_is_pinned(server, tmp_path):
    path = tmp_path / "weights.bin"
    assert fetch(server.url, path) == SHA
    assert (tmp_path / "weights.bin.sha256").read_text() == f"{SHA}  weights.bin\n"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DownloadError, match="delete the file"):
        fetch(server.url, path)
    path.unlink()
    server.content = CONTENT[::-1]
    with pytest.raises(DownloadError, match="expected"):
        fetch(server.url, path)
    assert not path.exists()


def test_offline_refuses_the_network_and_uses_the_cache(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RUSR_OFFLINE", "1")
    with pytest.raises(DownloadError, match="RUSR_OFFLINE"):
        fetch(server.url, tmp_path / "weights.bin", SHA)
    assert server.requests == [] and not list(tmp_path.iterdir())
    (tmp_path / "weights.bin").write_bytes(CONTENT)
    assert fetch(server.url, tmp_path / "weights.bin", SHA) == SHA
    monkeypatch.setenv("RUSR_OFFLINE", "0")
    assert not downloads.offline()


def test_two_processes_end_with_one_good_file(server, tmp_path):
    code = "import sys; from pathlib import Path; from rusr_core.priors.downloads import fetch; "
    code += "print(fetch(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))"
    server.delay = 2.0  # both ask while the first is being served
    command = [sys.executable, "-c", code, server.url, str(tmp_path / "weights.bin"), SHA]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [p.communicate(timeout=120)[0].strip() for p in running] == [SHA, SHA]
    assert [p.returncode for p in running] == [0, 0]
    assert (tmp_path / "weights.bin").read_bytes() == CONTENT and names(tmp_path) == {"weights.bin"}
    assert len(server.requests) == 1


def test_errors_of_the_server_are_one_line(server, tmp_path):
    server.status = 404
    with pytest.raises(DownloadError, match="answers 404"):
        fetch(server.url, tmp_path / "weights.bin")
    with pytest.raises(DownloadError, match="not an address"):
        fetch("file:///etc/hostname", tmp_path / "weights.bin")
    with pytest.raises(DownloadError, match="refused"):
        fetch("http://127.0.0.1:1/weights.bin", tmp_path / "weights.bin")
    assert names(tmp_path) == set()


def test_proxies_are_honoured(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert fetch("http://weights.invalid/file.bin", tmp_path / "file.bin", SHA) == SHA
    assert server.requests[0][0] == "http://weights.invalid/file.bin"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the test's certificate")
def test_tls_is_verified_and_not_left(server, tmp_path, monkeypatch):
    """A certificate nobody vouches for is refused; so is a redirection from https to http."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=127.0.0.1"
    command += " -addext subjectAltName=IP:127.0.0.1"
    command += f" -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    secure = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure.socket = context.wrap_socket(secure.socket, server_side=True)
    threading.Thread(target=secure.serve_forever, args=(0.02,), daemon=True).start()
    url = secure.url.replace("http:", "https:")
    with pytest.raises(DownloadError, match="CERTIFICATE_VERIFY_FAILED"):
        fetch(url, tmp_path / "weights.bin", SHA)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch(url, tmp_path / "weights.bin", SHA) == SHA
    secure.location = server.url
    with pytest.raises(DownloadError, match="not encrypted"):
        fetch(url, tmp_path / "other.bin", SHA)
    secure.shutdown()
    secure.server_close()


# ---- the table


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


def test_vgg_is_the_file_that_torchvision_publishes(cache, monkeypatch):
    from torchvision.models import VGG16_Weights

    entry = zoo.find("lpips-vgg16")
    assert entry.url == VGG16_Weights.IMAGENET1K_V1.url and f"-{entry.sha256}." in entry.url
    assert entry.path == cache.parent / "hub" / "checkpoints" / "vgg16-397923af.pth"
    monkeypatch.setenv("RUSR_OFFLINE", "1")
    path = data_path("portraits/generator.safetensors")
    with pytest.raises(DownloadError, match="RUSR_OFFLINE"):
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
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_prior("nowhere/network.pkl")


# ---- priors


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
    with pytest.raises(DataError, match=r"100\.png"):
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
    monkeypatch.setattr("rusr_core.priors.zoo.table", lambda: {n: local(e, server.url) for n, e in rows.items()})
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


def local(entry: zoo.Entry, url: str) -> zoo.Entry:
    return zoo.Entry(**(vars(entry) | {"url": url}))


def test_the_radius_is_computed_once_and_belongs_to_its_weights(tmp_path, cache, monkeypatch):
    calls = []
    measure = Mapping.measure_std
    monkeypatch.setattr(Mapping, "measure_std", lambda mapping: calls.append(1) or measure(mapping, 100))
    path = tmp_path / "n.pkl"
    write_nvidia(random_generator(0, resolution=8, channels=(4, 4)), path)
    first = prior_w_std(load_generator(path), path)
    assert prior_w_std(load_generator(path), path) == first and len(calls) == 1
    assert json.loads((tmp_path / "n.pkl.w_std.json").read_text())["w_std"] == first
    write_nvidia(random_generator(1, resolution=8, channels=(4, 4)), path)
    assert prior_w_std(load_generator(path), path) != first and len(calls) == 2
    (tmp_path / "n.pkl.w_std.json").write_text("{")  # damaged: computed again
    prior_w_std(load_generator(path), path)
    assert len(calls) == 3


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


# ---- rusr zoo


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
    monkeypatch.setattr("rusr_core.priors.zoo.table", lambda: {n: local(e, server.url) for n, e in rows.items()})
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
    with pytest.raises(ZooError, match="--force"):
        run("convert", tmp_path / "r.pt", out)
    assert run("convert", tmp_path / "r.pt", out, "--half", "--force") == 0
    with pytest.raises(ZooError, match="ends in .safetensors"):
        run("convert", tmp_path / "r.pt", tmp_path / "g.pt")
