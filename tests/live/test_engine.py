"""The engine of the live pages against the library, in a real browser: random numbers, images, damages, gradients."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import seeded
from live_browser import evaluate

from rusr_core import randomness, tasks
from rusr_core.degradations import JPEG, Compose, Downsample, Mask, PoissonBernoulliNoise, Strokes
from rusr_core.degradations.inpainting import stroke_mask
from rusr_core.files import data_path
from rusr_core.images import load_image, to_uint8
from rusr_core.latents import sample_w, to_w_plus, to_w_plus_plus
from rusr_core.losses.guess import Guess
from rusr_core.presets import PRESETS

pytestmark = pytest.mark.slow


def painted() -> torch.Tensor:
    """A mask as the brush leaves it, [1, 1, 128, 128]: discs with soft borders, one of them over two edges."""
    at = torch.arange(128) + 0.5
    discs = ((3.5, 120.2, 31), (64.3, 77.7, 11.4), (70, 90, 5))
    return torch.stack([((at[:, None] - y).hypot(at - x) - r + 0.5).clamp(0, 1) for x, y, r in discs]).amin(0)[
        None, None
    ]


STAGES = {
    "U": ({"kind": "downsample", "factor": 4}, Downsample(4)),
    "N": ({"kind": "noise", "photons": 24, "p": 0.16}, PoissonBernoulliNoise(24, 0.16)),
    "A": ({"kind": "jpeg", "quality": 12}, JPEG(12)),
    "P": ({"kind": "strokes", "count": 5, "seed": 3}, Strokes(5, seed=3)),
}
ODD = {
    "M": ({"kind": "mask", "painted": painted().flatten().tolist()}, Mask(painted())),
    "X": ({"kind": "downsample", "factor": 32}, Downsample(32)),  # 4 px: what is too small for a term is left out
}
MAKE = "const f = Live.degradations.create(a[0], live.method), x = image(a[1], 128, 128);"


def rows(x: torch.Tensor) -> list[float]:
    """[1, C, H, W] as the engine orders it, [H, W, C]."""
    return x[0].permute(1, 2, 0).flatten().tolist()


@pytest.fixture(scope="module")
def portrait() -> torch.Tensor:
    return load_image(data_path("portraits/test/000.png"))


def test_random_numbers_are_those_of_torch_and_numpy(engine):
    draw, rates = seeded(7), [0.0, 1.0, 5.0, 9.5, 10.0, 24.0, 100.0] * 30
    expected = torch.cat([
        torch.rand(5, generator=draw),
        torch.randn(50, generator=draw),
        torch.poisson(torch.tensor(rates), generator=draw),
    ])  # fmt: skip
    found = evaluate(engine, "const r = new Live.random.Random(7);"
                     "return [...r.uniform(5), ...r.normal(50), ...r.poisson(a[0])];", rates)  # fmt: skip
    assert np.abs(np.array(found) - expected.numpy()).max() < 2e-6
    for seed, index in ((0, 0), (0, 2), (2**31, 1), (123456, 7)):
        word = evaluate(engine, "return Live.random.seedWord(a[0], a[1]);", seed, index)
        assert word == randomness.seeds(seed, 1, index)[0]


def test_a_sample_of_w_is_the_librarys(engine, embedded):
    G = embedded.generator
    expected = G.image(sample_w(G, 1, psi=0.7, generator=seeded(3)))
    found = evaluate(engine, """
        const z = tf.tensor(new Live.random.Random(3).normal(a[0]), [1, a[0]]), G = live.generator;
        const w = tf.add(G.mean, tf.mul(tf.sub(G.toW(z), G.mean), 0.7));
        return [...G.image(w).dataSync()];""", G.config.z_dim)  # fmt: skip
    assert np.abs(np.array(found) - rows(expected)).max() < 1e-5


@pytest.mark.parametrize("filter", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("factor", [2, 8, 32])
def test_downsampling_is_pillows_to_the_last_bit(engine, portrait, filter, factor):
    expected = to_uint8(Downsample(factor, filter).degrade(portrait))
    stages = [{"kind": "downsample", "factor": factor, "filter": filter}]
    body = MAKE + "return [...tf.round(tf.mul(f.degrade(x), 255)).dataSync()];"
    found = evaluate(engine, body, stages, rows(portrait))
    assert found == rows(expected)


@pytest.mark.parametrize("letter", STAGES | ODD)
def test_a_degraded_picture_is_the_librarys(engine, portrait, letter):
    """To the last bit; of noise but for single counts, whose rates differ by rounding, and of JPEG, whose true
    operation in the page is the surrogate's value, as near to Pillow's file as `JPEG` says."""
    stage, f = (STAGES | ODD)[letter]
    body = MAKE + "return [...tf.round(tf.mul(f.degrade(x, new Live.random.Random(5)), 255)).dataSync()];"
    found = np.array(evaluate(engine, body, [stage], rows(portrait)))
    expected = np.array(rows(to_uint8(f.degrade(portrait, seeded(5)))))
    if letter == "A":
        assert 10 * np.log10(255**2 / ((found - expected) ** 2).mean()) > 44
        expected = np.array(rows(to_uint8(f.forward(portrait))))
    assert (found != expected).mean() < 1e-3


KINDS = {"Downsample": "downsample", "PoissonBernoulliNoise": "noise", "JPEG": "jpeg", "Strokes": "strokes"}
FIELDS = {"downsample": ("factor",), "noise": ("photons", "p"), "jpeg": ("quality",), "strokes": ("count", "seed")}


@pytest.mark.parametrize("level", ["XS", "XL"])
@pytest.mark.parametrize("letters", ["U", "N", "A", "P", "UN", "NA", "NP", "UNAP"])
def test_the_ends_of_every_task_are_the_librarys(engine, portrait, letters, level):
    """What the search sees of a picture, and what its surrogate makes of a guess, from 2 to 32 times smaller."""
    f = tasks.find(letters, level).degradation(seed=4)
    stages = []
    for one in f.stages if isinstance(f, Compose) else (f,):
        kind = KINDS[type(one).__name__]
        stages.append({"kind": kind} | {name: getattr(one, name) for name in FIELDS[kind]})
    body = (
        MAKE
        + """
        const y = tf.mul(f.degrade(x, new Live.random.Random(5)), 255);
        return [y, f.forward(x, new Live.random.Random(6))].map((v) => [...v.dataSync()]);"""
    )
    y, seen = map(np.array, evaluate(engine, body, stages, rows(portrait)))
    expected = np.array(rows(to_uint8(f.degrade(portrait, seeded(5)))))
    if "A" in letters:
        assert 10 * np.log10(255**2 / max(((y - expected) ** 2).mean(), 1e-9)) > 40
    else:
        assert (y.round() != expected).mean() < 1e-3
    wanted = np.array(rows(f.forward(portrait, seeded(6))))
    assert (abs(seen - wanted) > 1e-5).mean() < 2e-3


@pytest.mark.parametrize("count, seed, side", [(1, 0, 128), (9, 4, 128), (9, 1, 16)])
def test_strokes_are_the_librarys(engine, count, seed, side):
    found = evaluate(engine, "return [...Live.strokes.mask(a[0], a[1], [a[2], a[2]], 0.08)];", count, seed, side)
    expected = stroke_mask(count, seed, (side, side), 0.08 * side)
    assert np.abs(np.array(found) - expected.flatten().numpy()).max() < 1e-6


def latents(prior, space: str, seed: int) -> torch.Tensor:
    """A latent away from the mean, with a disturbance where the space has room for it."""
    G, draw = prior.generator, seeded(seed)
    w = sample_w(G, 1, generator=draw)
    if space == "W":
        return w
    plus = to_w_plus(w, G)
    plus = plus + 0.3 * torch.randn(plus.shape, generator=draw)
    if space == "W+":
        return plus
    wide = to_w_plus_plus(plus, G)
    return wide + 0.1 * torch.randn(wide.shape, generator=draw)


@pytest.mark.parametrize("quality", [12, 75])
def test_the_gradient_of_jpeg_is_the_librarys(engine, portrait, quality):
    """From one and the same picture. Behind a generator it is not: pictures that differ by 1e-6 fall on different sides
    of a rounding here and there, and a coefficient that is rounded otherwise has another derivative."""
    x, weights = portrait.clone().requires_grad_(True), torch.randn(portrait.shape, generator=seeded(0))
    (JPEG(quality).forward(x) * weights).sum().backward()
    found = evaluate(engine, """
        const codec = Live.jpeg.create(a[1], live.method.jpeg), weights = image(a[2], 128, 128);
        const gradient = tf.grad((x) => tf.sum(tf.mul(codec.apply(x), weights)));
        return [...gradient(image(a[0], 128, 128)).dataSync()];""", rows(portrait), quality, rows(weights))  # fmt: skip
    expected = np.array(rows(x.grad))
    assert np.linalg.norm(np.array(found) - expected) < 1e-5 * np.linalg.norm(expected)


def test_means_of_bytes_that_are_the_same_number_are_torchs(engine):
    """Pictures that hold few bytes, so that many means differ by nothing or by the last digit of a sum: L1's derivative
    is 0 at a difference of 0, and the sign of any other, however small."""
    x, y = ((torch.randint(0, 9, (1, 3, 32, 32), generator=seeded(k)) / 255).requires_grad_(True) for k in (0, 1))
    means = [F.avg_pool2d(v, 2) for v in (x, y)]
    apart = (means[0] - means[1]).abs()
    apart.sum().backward()
    assert (apart == 0).any() and ((apart > 0) & (apart < 1e-7)).any()
    pooled, gradient = evaluate(engine, """
        const { pool, magnitude } = Live.operations, [x, y] = a.map((values) => image(values, 32, 32));
        const l1 = (x) => tf.sum(magnitude(tf.sub(pool(x, 2), pool(y, 2))));
        return [pool(x, 2), tf.grad(l1)(x)].map((v) => [...v.dataSync()]);""", rows(x), rows(y))  # fmt: skip
    assert pooled == rows(means[0]) and gradient == rows(x.grad)


@pytest.mark.parametrize("p", [0.0, 0.64])
def test_a_pixel_that_draws_the_very_share_lives(engine, portrait, p):
    assert bool(torch.tensor(p) >= p), "as the library asks"
    draws = "const same = (value) => (size) => new Float32Array(size).fill(value);"
    body = f"{MAKE} {draws} return tf.min(f.forward(x, {{ normal: same(0), uniform: same(a[2]) }})).dataSync()[0];"
    stages = [{"kind": "noise", "photons": 24, "p": p}]
    assert evaluate(engine, body, stages, rows(portrait.clamp(min=0.1)), p) == pytest.approx(0.1)


CASES = [("W", ""), ("W+", ""), ("W++", ""), ("W+", "U"), ("W", "N"), ("W+", "A"), ("W+", "P"), ("W", "UNAP")]
CASES += [("W", "M"), ("W++", "NM"), ("W+", "X")]


def by_the_library(prior, f, y: torch.Tensor, ws: torch.Tensor) -> tuple[torch.Tensor, dict, np.ndarray]:
    """The image, the terms of the loss and the gradient at the latent `ws`, with the draws of a search of seed 4."""
    ws = ws.detach().requires_grad_(True)
    mask = f.mask((1, 3, 128, 128))
    loss = PRESETS["default"].loss(prior).fit(tuple(y.shape[2:]), mask is not None)
    loss = type(loss)(tuple(t for t in loss.terms if t.name not in loss.blind(tuple(y.shape[2:]))))
    word, x = randomness.seeds(4, 1, 0)[0], prior.generator.image(ws)
    draw = seeded(word)
    guess = Guess(f.forward(x, draw), x, ws, f.forward(x, draw) if f.random else None, generator=seeded(word + 1))
    values = loss(guess, loss.target(y, mask))
    values["total"].sum().backward()
    return x.detach(), values, ws.grad.flatten().numpy()


def apart(found: np.ndarray, expected: np.ndarray) -> float:
    """Relative distance of two gradients."""
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def by_the_page(engine, stages: list[dict], y: torch.Tensor, ws: torch.Tensor) -> dict[str, object]:
    """The same of the page's engine: image, grad, terms, total."""
    return evaluate(engine, """
        const D = live.method.generator.w_dim, ws = tf.tensor(a[1], [a[1].length / D, D]);
        const preset = live.method.presets.default, f = Live.degradations.create(a[0], live.method);
        const weights = { lpips: 1, l1: preset.l1_weight, identity: preset.identity_weight };
        const y = image(a[2], f.side, f.side), goal = Live.search.objective(live, { y, f, preset, weights, seed: 4 });
        goal.reseed(0);
        const { value, grad, terms } = goal.at(ws);
        const all = { image: [...live.generator.image(ws).dataSync()], grad: [...grad.dataSync()], terms };
        return { ...all, total: value.dataSync()[0] };""", stages, ws.flatten().tolist(), rows(y))  # fmt: skip


def at_a_kink(prior, f, y: torch.Tensor, ws: torch.Tensor, gradient: np.ndarray, off: float) -> bool:
    """Whether the library's own gradient moves as far where the latent moves by 1e-5, as pictures may: activations,
    counts of photons and coefficients of JPEG fall to the other side."""
    moved = (ws + 1e-5 * torch.randn(ws.shape, generator=seeded(draw)) for draw in range(5))
    return off < max(apart(by_the_library(prior, f, y, near)[2], gradient) for near in moved) < 0.02


@pytest.mark.parametrize("space, letters", CASES)
def test_image_loss_and_gradient_are_the_librarys(engine, embedded, portrait, space, letters):
    """Pictures to 1e-5 of the range and gradients to 1e-5 of their length, but where a latent lies at a kink by chance:
    then at the next of up to four latents."""
    made = [(STAGES | ODD)[letter] for letter in letters]
    stages, f = [stage for stage, _ in made], Compose(*(one for _, one in made))
    y, off = f.degrade(portrait, seeded(5)), []
    for draw in range(11, 15):
        ws = latents(embedded, space, draw)
        x, values, gradient = by_the_library(embedded, f, y, ws)
        found = by_the_page(engine, stages, y, ws)
        assert np.abs(np.array(found["image"]) - rows(x)).max() < 1e-5
        assert set(found["terms"]) == set(values) - {"total"}
        for name, value in found["terms"].items():
            assert value == pytest.approx(values[name].item(), rel=1e-4, abs=1e-6), name
        off.append(apart(np.array(found["grad"]), gradient))
        if off[-1] < 1e-5:
            return
        assert at_a_kink(embedded, f, y, ws, gradient, off[-1])
    raise AssertionError(f"no gradient agrees to 1e-5: {off}")


def test_memory_is_the_same_after_twenty_searches(engine, portrait):
    """Tensors and their bytes, as TensorFlow.js counts them, after each kind of search and over again; and once each
    kind has run, WebAssembly holds no more than that."""
    found = evaluate(engine, """
        const rgba = new Uint8ClampedArray(128 * 128 * 4).map((_, k) => 255 * (a[0][(k >> 2) * 3 + k % 4] ?? 1));
        const picture = { width: 128, height: 128, rgba }, memory = [], kept = window.postMessage;
        const ask = { picture, preset: "default", steps: 1, seed: 2, weights: {} };
        const painted = new Float32Array(128 * 128).fill(1).fill(0, 5000, 6000);
        const kinds = [...a[1].map((stage) => [stage]), a[1], [{ kind: "mask", painted }]];
        for (let k = 0; k < 20; k++) {
          const stages = kinds[k % kinds.length], spaces = [["W"], ["W", "W+"], ["W++"]][k % 3];
          const message = { ...ask, id: k, type: "search", stages, spaces, observed: k === 7 };
          let failed = null;
          window.postMessage = (m) => { if (m.type === "error") failed = m.message; };
          await Live.worker.answer({ data: message });
          if (failed) throw new Error(failed);
          memory.push([tf.memory().numTensors, tf.memory().numBytes, tf.backend().wasm.HEAPU8.length]);
        }
        window.postMessage = kept;
        return memory;""", rows(portrait), [stage for stage, _ in STAGES.values()])  # fmt: skip
    assert len(found) == 20 and found[5] == found[11] == found[17]
    assert found[0][:2] == found[6][:2] == found[12][:2] == found[18][:2]
    assert len({tensors for tensors, *_ in found}) == 1, found
    assert len({heap for *_, heap in found[5:]}) == 1, found
