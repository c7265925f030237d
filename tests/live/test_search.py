"""Whole searches in a real browser against `restore`: the same way, as near to the portrait, and stopped alike."""

import dataclasses

import numpy as np
import pytest
import torch
from live_browser import evaluate

from rusr_core import metrics, tasks
from rusr_core.files import data_path
from rusr_core.images import load_image
from rusr_core.presets import PRESETS, Phase
from rusr_core.restore import restore

pytestmark = pytest.mark.slow

STEPS = 30  # of each phase: 60 in all
STAGES = {
    "U": {"kind": "downsample", "factor": 8},
    "N": {"kind": "noise", "photons": 24, "p": 0.16},
    "A": {"kind": "jpeg", "quality": 12},
    "P": {"kind": "strokes", "count": 9, "seed": 0},
}
SEARCH = """
    const clean = image(a[1], 128, 128), preset = a[2], f = Live.degradations.create(a[0], live.method);
    const y = image(a[3], f.side, f.side), before = tf.memory().numTensors;
    const weights = { lpips: 1, l1: preset.l1_weight, identity: preset.identity_weight }, losses = [];
    const turn = async ({ loss }) => { losses.push(loss); return true; };
    const begun = performance.now();
    const { ws, phases } = await Live.search.run(live, { y, f, preset, weights, seed: 3, start: null }, { turn });
    const seconds = (performance.now() - begun) / 1000;
    const found = { phases, losses, seconds, image: [...tf.tidy(() => live.generator.image(ws)).dataSync()] };
    ws.dispose();
    found.left = tf.memory().numTensors - before - 1; // the picture that was just read
    return found;"""


def rows(x: torch.Tensor) -> list[float]:
    return x[0].permute(1, 2, 0).flatten().tolist()


def both(engine, prior, letter, preset):
    """The engine's search and the library's of one input, and the clean portrait."""
    clean = load_image(data_path("portraits/test/007.png"))
    f = tasks.get(letter, "M")
    y = f.degrade(clean, torch.Generator().manual_seed(1))
    found = evaluate(engine, SEARCH, [STAGES[letter]], rows(clean), preset.values(), rows(y))
    return found, restore(prior, y, f, preset=preset, seed=3), clean


@pytest.mark.parametrize("letter", STAGES)
def test_a_search_of_sixty_steps_goes_the_librarys_way(engine, embedded, letter):
    """The losses of the first steps agree to rounding, all of them to a few percent, and the ends to 0.3 dB. What lies
    between is Adam's, which divides small gradients by themselves, and JPEG's, which rounds."""
    preset = PRESETS["default"].shortened(STEPS)
    preset = dataclasses.replace(preset, phases=preset.phases[:2])
    found, expected, clean = both(engine, embedded, letter, preset)
    assert found["left"] == 0
    assert [phase["steps"] for phase in found["phases"]] == [phase.steps[0] for phase in expected.phases]
    image = torch.tensor(found["image"]).view(1, 128, 128, 3).permute(0, 3, 1, 2).clamp(0, 1)
    near, wanted_psnr = (float(metrics.psnr(x, clean)) for x in (image, expected.image))
    assert near == pytest.approx(wanted_psnr, abs=0.3)
    wanted = expected.history["total"][:, 0].numpy()
    off = np.abs(np.array(found["losses"]) - wanted) / np.abs(wanted[0])
    cost = f"{1000 * found['seconds'] / len(wanted):.0f} ms a step, {found['seconds'] / expected.seconds:.1f} times"
    print(f"{letter}: losses {off[:3].max():.1e}, then {off.max():.1e}; {near - wanted_psnr:+.2f} dB; {cost}")
    assert off[:3].max() < 1e-3 and np.median(off) < 0.05


def test_early_stopping_comes_at_the_same_step(engine, embedded):
    """With steps so long that the search overshoots, patience ends the phase."""
    preset = dataclasses.replace(PRESETS["default"], phases=(Phase("W", 3.0, 20),), patience=2)
    found, expected, _ = both(engine, embedded, "U", preset)
    assert expected.steps[0] < 20
    assert found["phases"] == [{"space": "W", "steps": expected.steps[0], "reason": "patience"}]
