"""Shared fixtures: golden arrays of the official implementations, and one small random generator."""

import hashlib
import os
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import kernel_server
import numpy as np
import pytest
import torch
from app_files import after_jpeg  # noqa: F401  (fixture)
from download_server import Server
from live_browser import built, engine, serving  # noqa: F401  (fixtures)
from live_page import address, browser, page, watched  # noqa: F401  (fixtures)
from order import seconds_of

from rusr_core import commands, presets, priors
from rusr_core.arithmetic import flushes_denormals
from rusr_core.files import data_path
from rusr_core.generator import Generator, GeneratorConfig
from rusr_core.images import resize
from rusr_core.latents import sample_w
from rusr_core.networks.perceptual import LPIPSFeatures
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig
from rusr_core.prior import Prior
from rusr_core.priors.load import lpips_heads
from rusr_core.results import PhaseResult, Samples, Search
from tools.portraits.renderer import render
from tools.portraits.renderer.portrait import paint
from tools.portraits.training.render_training_set import draw, factors

PORTRAIT = data_path("portraits/test/000.png")
GOLDEN = Path(__file__).parent / "golden"

# torchvision's index of each convolution of VGG16, and its channels
LAYERS = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256), 12: (256, 256), 14: (256, 256)}
LAYERS |= {17: (256, 512), 19: (512, 512), 21: (512, 512), 24: (512, 512), 26: (512, 512), 28: (512, 512)}


def seeded(seed: int = 0) -> torch.Generator:
    """A generator of random numbers on the CPU."""
    return torch.Generator().manual_seed(seed)


def slow_if(slow: bool, *values: object) -> object:
    """A set of parameters, left out by `make check` where it is `slow`: what others show, too, or long."""
    return pytest.param(*values, marks=[pytest.mark.slow] if slow else [])


def golden(name: str) -> dict[str, torch.Tensor]:
    """All arrays of one golden file as tensors (text stays bytes)."""
    with np.load(GOLDEN / f"{name}.npz", allow_pickle=False) as data:
        return {k: torch.from_numpy(np.array(data[k])) for k in data.files}


def golden_generator(arrays: dict[str, torch.Tensor], **config) -> Generator:
    """The generator whose parameters a golden file holds."""
    with torch.random.fork_rng(devices=[]):  # new layers draw initial weights
        G = Generator(GeneratorConfig(resolution=32, channels=(32, 32, 32, 16), mapping_layers=2, **config))
    state = {k.removeprefix("param/"): v for k, v in arrays.items() if k.startswith("param/")}
    G.load_state_dict(state, strict=True)
    return G.eval().requires_grad_(False)


def random_generator(seed: int = 0, **config) -> Generator:
    """A small generator with random weights whose biases, noise strengths and mean are not zero."""
    settings = dict(resolution=32, channels=(12, 12, 8, 6), z_dim=16, w_dim=20, mapping_layers=2) | config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        G = Generator(GeneratorConfig(**settings))
        for name, parameter in G.named_parameters():
            if name.endswith(("bias", "noise_strength")):
                parameter.data += 0.1 * torch.randn_like(parameter)
        G.mapping.w_avg.copy_(0.1 * torch.randn(G.config.w_dim))
    return G.eval().requires_grad_(False)


def random_prior() -> Prior:
    """A prior of 32 px with random weights: one small net for perception and identity, rates as they are."""
    net = small_portrait_net(8, 8)
    return Prior("random", random_generator(), net, net, lr_scale=1.0)


@pytest.fixture(scope="module")
def prior() -> Prior:
    return random_prior()


@pytest.fixture(scope="module")
def truth(prior) -> torch.Tensor:
    """Four images that the random prior makes, [4, 3, 32, 32] in [0, 1]."""
    draw = torch.Generator().manual_seed(5)
    return prior.generator.image(sample_w(prior.generator, 4, generator=draw)).clamp(0, 1)


def seeded_vgg() -> dict[str, torch.Tensor]:
    """The random VGG16 of the golden arrays, see their README."""
    state, digest = {}, hashlib.sha256()
    for k, (index, (inputs, outputs)) in enumerate(LAYERS.items()):
        rs = np.random.RandomState(7000 + k)
        bound = np.sqrt(6 / (9 * inputs))
        weight = ((rs.random_sample((outputs, inputs, 3, 3)) * 2 - 1) * bound).astype(np.float32)
        bias = ((rs.random_sample(outputs) * 2 - 1) * 0.1).astype(np.float32)
        digest.update(weight.tobytes())
        digest.update(bias.tobytes())
        state[f"features.{index}.weight"] = torch.from_numpy(weight)
        state[f"features.{index}.bias"] = torch.from_numpy(bias)
    state["sha256"] = digest.hexdigest()
    return state


def small_portrait_net(*channels: int, seed: int = 0) -> PortraitNet:
    """A feature net for 32 px with random weights, frozen; by default the smallest with all its features."""
    channels = channels or (8, 8, 8, 8)
    config = PortraitNetConfig(channels, embedding=8, resolution=32, perceptual_levels=2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return PortraitNet(config).eval().requires_grad_(False)


@pytest.fixture(scope="session")
def vgg() -> LPIPSFeatures:
    arrays = golden("multiscale_lpips")
    state = seeded_vgg()
    assert state.pop("sha256") == bytes(arrays["meta/vgg_sha256_hex"].numpy()).decode()
    return LPIPSFeatures(state, lpips_heads())


@pytest.fixture(scope="module")
def published():
    arrays = golden("wpp_r32_skip")
    return arrays, golden_generator(arrays, z_dim=64, w_dim=512)


def latent(arrays, space):
    return {"W": arrays["in/w"], "Wp": arrays["in/wp"], "Wpp": arrays["in/wpp_used_rows"].unsqueeze(1)}[space]


@pytest.fixture
def small_generator() -> Generator:
    return random_generator()


@pytest.fixture(scope="session")
def small_set(tmp_path_factory) -> Path:
    """A training set of portraits: 56 people, two views each; eight pictures are rendered, the others repeat them."""
    folder, z = tmp_path_factory.mktemp("set"), factors(56, 2).flatten(0, 1)[:8]
    with torch.no_grad():
        flat = paint(z, draw(0, "flat.npy", z.device), {})
    for name, images in (("images.npy", render(z)), ("flat.npy", flat)):
        pixels = (images * 255 + 0.5).to(torch.uint8).repeat(14, 1, 1, 1)
        np.save(folder / name, pixels.unflatten(0, (56, 2)).numpy())
    return folder


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    """The small world of the tests of sweeps: prior, judge and images, see tests/sweep_world.py."""
    from sweep_world import build_world

    return build_world(tmp_path_factory.mktemp("world"))


@pytest.fixture
def config(world, tmp_path):
    """A sweep in the small world, into a folder of the test's own."""
    from sweep_world import config_of

    return config_of(world, tmp_path / "out")


@pytest.fixture(autouse=True)
def process_is_left_alone():
    """Nothing may draw from the global generator or leave the arithmetic and the threads of a process changed."""
    before, flushed, threads = torch.random.get_rng_state(), flushes_denormals(), torch.get_num_threads()
    yield
    assert torch.equal(before, torch.random.get_rng_state()), "the global random state was changed"
    assert flushes_denormals() == flushed, "denormal numbers are flushed, or no longer"
    assert torch.get_num_threads() == threads, "the number of threads was changed"


@pytest.fixture(scope="session", autouse=True)
def nobody_waits_for_the_disk():
    """Files are written as always but need not last: no test cuts the power. Processes of their own do wait."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", os.fstat)  # which looks whether the descriptor is open, as fsync does
        yield


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


def pytest_configure(config):
    """Where nbval is told to use the kernels of tests/kernel_server.py, there is one server for all processes."""
    if getattr(config.option, "nbval_kernel_name", None) == kernel_server.NAME and not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory()
        server = kernel_server.KernelServer(Path(folder.name))
        os.environ.update(server.environment)
        config.add_cleanup(lambda: (server.close(), folder.cleanup()))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Modules that take long come first (tests/order.py)."""
    seconds = seconds_of(items)
    items.sort(key=lambda item: -seconds[item.nodeid.split("::")[0]])


def run(*words: object) -> int:
    """A command as it is typed; its exit status."""
    return commands.main([str(word) for word in words])


def failure(capsys: pytest.CaptureFixture, *words: object) -> str:
    """The error message of a command that must fail with one line on stderr and nothing on stdout."""
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "error: " in err
    return err


@pytest.fixture(scope="session")
def embedded():
    """The embedded prior, loaded once."""
    return priors.load_prior(priors.EMBEDDED)


@pytest.fixture
def searches(embedded, monkeypatch) -> list[SimpleNamespace]:
    """The calls of the search, which gives its input back, enlarged. A call may be made to fail by `fails`."""
    calls = []

    def search(prior, y, f, samples=1, **_options):
        calls.append(SimpleNamespace(y=y, f=f))
        image = resize(y, 128, "nearest").repeat_interleave(samples, 0)
        num = len(image)
        facts = {"steps": [3] * num, "seconds": 0.1, "interrupted": False, "diverged": [None] * num, "info": {}}
        shades = 1 - 0.2 * (torch.arange(num) % samples).view(-1, 1, 1, 1)  # the answers differ in brightness
        history = {"total": torch.ones(1, num)}
        phases = (PhaseResult("W", image, torch.zeros(num, 1), [3] * num, history),)
        more = {"seed": 0, "method": "default", "phases": phases, "preset": presets.get("default"), "terms": {}}
        if samples == 1:
            return Search(image, **facts, **more)
        return Samples(image * shades, **facts, **more, samples=samples, prior_spread=torch.full((1, 1, 128, 128), 0.3))

    monkeypatch.setattr("rusr_core.commands.searching.priors.load_prior", lambda *_args, **_options: embedded)
    monkeypatch.setattr("rusr_core.commands.searching.restore", search)
    return calls


@pytest.fixture
def small(tmp_path_factory) -> bytes:
    """A PNG of 16 x 16 px, an input of `--task upsampling`."""
    path = tmp_path_factory.mktemp("small") / "small.png"
    assert run("degrade", PORTRAIT, path, "--degradation", "downsample:8") == 0
    return path.read_bytes()
