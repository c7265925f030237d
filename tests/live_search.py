"""Whole searches of the engine in a browser beside the library's, for tests and for `benchmarks.live`."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from live_browser import evaluate

from rusr_core import metrics, tasks
from rusr_core.degradations.base import Degradation
from rusr_core.files import data_path
from rusr_core.images import load_image
from rusr_core.presets import PRESETS, Preset
from rusr_core.restore import Restoration, restore

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
    const { ws, phases } = await Live.search.run(live, { y, f, preset, weights, seed: 3 }, { turn });
    const seconds = (performance.now() - begun) / 1000;
    const found = { phases, losses, seconds, image: [...tf.tidy(() => live.generator.image(ws)).dataSync()] };
    ws.dispose();
    found.left = tf.memory().numTensors - before - 1; // the picture that was just read
    return found;"""


@dataclass(frozen=True, eq=False)
class Pair:
    """The same search in the browser and in the library."""

    found: dict[str, object]  # what SEARCH answers
    expected: Restoration

    @property
    def difference(self) -> float:
        """By how many dB the browser's end lies nearer to the portrait than the library's."""
        image = torch.tensor(self.found["image"]).view(1, 128, 128, 3).permute(0, 3, 1, 2).clamp(0, 1)
        near, wanted = (float(metrics.psnr(x, portrait())) for x in (image, self.expected.image))
        return near - wanted

    @property
    def off(self) -> np.ndarray:
        """How far each step's loss is from the library's, relative to the first, while both searches last."""
        found, wanted = np.array(self.found["losses"]), self.expected.history["total"][:, 0].numpy()
        both = min(len(wanted), len(found))
        return np.abs(found[:both] - wanted[:both]) / np.abs(wanted[0])


def portrait() -> torch.Tensor:
    """The portrait that is damaged, `[1, 3, 128, 128]` in [0, 1]."""
    return load_image(data_path("portraits/test/007.png"))


def damaged(letter: str) -> tuple[torch.Tensor, Degradation]:
    """The portrait after a task at level M, and the task's f."""
    f = tasks.get(letter, "M")
    return f.degrade(portrait(), torch.Generator().manual_seed(1)), f


def rows(x: torch.Tensor) -> list[float]:
    return x[0].permute(1, 2, 0).flatten().tolist()


def shortened(steps: int, phases: int = 2) -> Preset:
    """The preset `default` with its first phases, of so many steps each."""
    preset = PRESETS["default"].shortened(steps)
    return dataclasses.replace(preset, phases=preset.phases[:phases])


def by_browser(engine, letter: str, preset: Preset) -> dict[str, object]:
    """The search of the page's engine, see SEARCH."""
    y, _ = damaged(letter)
    return evaluate(engine, SEARCH, [STAGES[letter]], rows(portrait()), preset.values(), rows(y))


def by_library(prior, letter: str, preset: Preset) -> Restoration:
    """The library's search with the same seed."""
    return restore(prior, *damaged(letter), preset=preset, seed=3)
