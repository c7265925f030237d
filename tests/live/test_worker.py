"""What the worker of the live pages answers, in a real browser."""

import numpy as np
import pytest
import torch
from conftest import seeded
from live_browser import evaluate
from live_search import rows

from rusr_core.latents import sample_w, to_w_plus

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("mix", [{"other": 4, "share": 0.25}, {"other": 4, "from": 3}])
def test_a_mixture_of_two_portraits_is_the_librarys(engine, embedded, mix):
    """As the page asks for it; the worker answers with bytes."""
    G = embedded.generator
    first, second = (sample_w(G, 1, psi=0.5, generator=seeded(seed)) for seed in (3, 4))
    ws = torch.lerp(first, second, mix.get("share", 0))
    if "from" in mix:
        ws = torch.cat([to_w_plus(first, G)[:, : mix["from"]], to_w_plus(second, G)[:, mix["from"] :]], 1)
    found = evaluate(engine, """
        const kept = window.postMessage, answered = new Promise((done) => { window.postMessage = done; });
        await Live.worker.answer({ data: { id: 8, type: "sample", seed: 3, psi: 0.5, ...a[0] } });
        window.postMessage = kept;
        return [...(await answered).picture.rgba].filter((_, k) => k % 4 < 3);""", mix)  # fmt: skip
    assert np.abs(np.array(found) - rows(255 * G.image(ws).clamp(0, 1))).max() < 0.51


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        ("new WebAssembly.RuntimeError('memory access out of bounds')", True),
        ("new RangeError('Array buffer allocation failed')", True),
        ("new Error('expected fewer')", False),
    ],
)
def test_what_breaks_the_kernels_is_told_from_what_a_reader_asked_wrongly(engine, error, fatal):
    found = evaluate(engine, f"""
        const kept = window.postMessage, {{ toW }} = live.generator;
        const answered = new Promise((done) => {{ window.postMessage = done; }});
        live.generator.toW = () => {{ throw {error}; }};
        await Live.worker.answer({{ data: {{ id: 7, type: "sample", seed: 1, psi: 1 }} }});
        Object.assign(window, {{ postMessage: kept }});
        live.generator.toW = toW;
        return await answered;""")  # fmt: skip
    assert (found["id"], found["type"], found["fatal"]) == (7, "error", fatal) and found["message"] in error
