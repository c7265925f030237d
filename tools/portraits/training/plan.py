"""The schedule of a generator's training; it counts images, so pauses and slow machines change nothing."""

import math
from dataclasses import dataclass, replace

SIZES = (32, 64, 128)  # pixels, of the three stages of distillation


@dataclass(frozen=True)
class Plan:
    """One training run; `images` counts each stage: distillation at 32, 64 and 128 px, then adversarial at 128 px."""

    channels: tuple[int, ...] = (192, 192, 160, 80, 48, 24)
    w_dim: int = 128
    images: tuple[int, int, int, int] = (200_000, 150_000, 150_000, 100_000)
    batch: int = 16
    rate: float = 1.6e-2
    last_rate: float = 6e-4
    adversarial_rate: float = 5e-3
    feature_weight: float = 0.35
    mixing: float = 0.25  # share of a batch whose styles are mixed in the adversarial stage
    ema_images: int = 4_000
    mapping_steps: int = 6_000
    seed: int = 0
    log_every: int = 4_096

    def within(self, seen: int, speed: float, seconds: float) -> "Plan":
        """The same plan with its last stage made as long or as short as `seconds` allow at `speed` pictures a second,
        when `seen` pictures, some of them of the last stage, are done."""
        begun = seen - sum(self.images[:3])
        left = int(max(0.0, seconds) * speed) // self.batch * self.batch
        return replace(self, images=(*self.images[:3], begun + left))

    def stage(self, seen: int) -> int:
        """0, 1, 2: distillation at 32, 64, 128 px; 3: adversarial."""
        return min(sum(seen >= sum(self.images[: k + 1]) for k in range(3)), 3)

    def size(self, seen: int) -> int:
        """Side in pixels of what is trained on after `seen` images."""
        return (*SIZES, SIZES[-1])[self.stage(seen)]

    def learning_rate(self, seen: int) -> float:
        """Warm-up over 3,000 images, then a cosine over the distillation; another one over the adversarial stage."""
        distilled = sum(self.images[:3])
        if self.stage(seen) < 3:
            first, share = self.rate, seen / max(distilled, 1)
        else:
            first, share = self.adversarial_rate, (seen - distilled) / max(self.images[3], 1)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        return min(1.0, (seen + self.batch) / 3_000) * (self.last_rate + (first - self.last_rate) * cosine)
