"""The adversarial stage: discriminators beside the paired losses, so that detail becomes crisp and random samples
have the statistics of renders.

One discriminator looks at patches, the other at what the feature net, which stays as it is, sees in a picture: maps
place by place, and their means (after Sauer et al., "Projected GANs Converge Faster", NeurIPS 2021, with plain heads
and no random projections). That net is net A; net B, which judges, takes no part.

Every loss is turned into a gradient at the picture and scaled by its own running norm before all are added:
their weights then mean shares of the step, and none has to be tuned against another. Hinge loss, lazy R1
(Mescheder et al. 2018). A discriminator's share grows with the gap between its scores for renders and
outputs: at chance it is silent.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tools.portraits.training.distillation import autocast, cell_loss, pyramid_loss, shrink
from tools.portraits.training.training_set import World

LINE = (torch.arange(128) + 0.5) / 64 - 1
FACE = torch.exp(-(LINE[None] ** 2 / 0.45**2 + (LINE[:, None] - 0.08) ** 2 / 0.45**2))[None, None]


class EqualConv(nn.Module):
    """Convolution with equalised learning rate and, by default, a leaky ReLU of gain sqrt(2)."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, activate: bool = True):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain, self.stride, self.activate = 1 / math.sqrt(inputs * size * size), stride, activate

    def forward(self, x: Tensor) -> Tensor:
        """`[N, I, H, W]` -> `[N, O, H / stride, W / stride]`."""
        x = F.conv2d(x, self.weight * self.gain, self.bias, self.stride, self.weight.shape[-1] // 2)
        return F.leaky_relu(x, 0.2) * math.sqrt(2) if self.activate else x


class PatchDiscriminator(nn.Module):
    """Scores on two grids, for pictures of 128 px: 16 x 16 patches of 38 px and 8 x 8 of 54 px."""

    def __init__(self, widths: tuple[int, ...] = (40, 48, 80, 112, 128)):
        super().__init__()
        a, b, c, d, e = widths
        self.fine = nn.Sequential(EqualConv(12, a), EqualConv(a, b), EqualConv(b, c, stride=2))
        self.middle = nn.Sequential(EqualConv(c, d, stride=2), EqualConv(d, d))
        self.coarse = EqualConv(d, e, stride=2)
        self.small, self.large = (EqualConv(width, 1, size=1, activate=False) for width in (d, e))

    def forward(self, x: Tensor) -> list[Tensor]:
        """Pictures `[N, 3, 128, 128]` in [-1, 1] -> scores `[N, 1, 16, 16]` and `[N, 1, 8, 8]`."""
        x = F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last)
        x = self.middle(self.fine(x))
        return [self.small(x).float(), self.large(self.coarse(x)).float()]


class FeatureDiscriminator(nn.Module):
    """Scores what a fixed net sees: its maps place by place, and their means, of which Frechet distances are made."""

    def __init__(self, channels: tuple[int, ...], width: int = 64):
        super().__init__()
        self.places = nn.ModuleList(self._head(c, width, 3) for c in channels[1:])
        self.means = nn.ModuleList(self._head(c, width, 1) for c in channels[1:])

    @staticmethod
    def _head(inputs: int, width: int, size: int) -> nn.Sequential:
        layers = EqualConv(inputs, width, size=1), EqualConv(width, width, size=size)
        return nn.Sequential(*layers, EqualConv(width, 1, size=1, activate=False))

    def forward(self, maps: list[Tensor], real: list[Tensor]) -> dict[str, list[Tensor]]:
        """Maps `[N, C_l, H_l, W_l]`, standardised by those of renders -> for each level but the first, which sees
        little more than the picture, scores of places `[N, 1, H_l, W_l]` and of means `[N, 1, 1, 1]`."""
        scores = {"places": [], "means": []}
        for x, r, place, mean in zip(maps[1:], real[1:], self.places, self.means, strict=True):
            scores["places"].append(place(standardised(x, r)).float())
            scores["means"].append(mean(standardised(*(m.float().mean((2, 3), keepdim=True) for m in (x, r)))).float())
        return scores


def standardised(x: Tensor, real: Tensor) -> Tensor:
    """`[N, C, H, W]` in units of the deviation of a batch of renders from its mean, channel by channel."""
    deviation, mean = torch.std_mean(real.float(), (0, 2, 3), keepdim=True)
    return (x.float() - mean) / (deviation + 1e-3)


class Adversary(nn.Module):
    """Both discriminators, their optimiser, and the running norms that balance the losses."""

    SHARES = {"pyramid": 1.0, "face": 0.7, "features": 1.0, "patches": 0.6, "places": 0.5, "means": 0.5}
    RATE, R1, R1_EVERY = 3e-3, 0.05, 16

    def __init__(self, seed: int, channels: tuple[int, ...]):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + 17)
            self.patches = PatchDiscriminator().to(memory_format=torch.channels_last)
            self.seen = FeatureDiscriminator(channels)
        self.register_buffer("face", FACE, persistent=False)
        self.optimizer = torch.optim.Adam(self.parameters(), lr=self.RATE, betas=(0.5, 0.99))
        self.norms, self.gaps = {}, {}

    def get_extra_state(self) -> dict:
        """The optimiser and the running means, which a state dict does not hold by itself."""
        return {"optimizer": self.optimizer.state_dict(), "norms": self.norms, "gaps": self.gaps}

    def set_extra_state(self, state: dict) -> None:
        """Inverse of `get_extra_state`."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.norms, self.gaps = state["norms"], state["gaps"]

    def scores(self, picture: Tensor, maps: list[Tensor], wanted: list[Tensor]) -> dict[str, list[Tensor]]:
        """The discriminators' scores of pictures and of the fixed net's maps of them."""
        with autocast(picture.device):
            return {"patches": self.patches(picture), **self.seen(maps, wanted)}

    def judge(
        self, fake: Tensor, real: Tensor, maps: list[Tensor], wanted: list[Tensor], regularise: bool, world: World
    ) -> None:
        """One step of the discriminators on pictures and on the fixed net's maps of them."""
        self.optimizer.zero_grad()
        given, right = self.scores(fake, maps, wanted), self.scores(real, wanted, wanted)
        for name in given:
            pairs = list(zip(given[name], right[name], strict=True))
            sum(F.relu(1 + a).mean() + F.relu(1 - b).mean() for a, b in pairs).backward()
            gap = torch.stack([(b.mean() - a.mean()).detach() for a, b in pairs]).mean()
            self.gaps[name] = self.gaps.get(name, torch.zeros_like(gap)).lerp(gap, 0.05)
        if regularise:
            real = real.clone().requires_grad_()
            scores = self.patches(real)
            (slope,) = torch.autograd.grad(sum(s.sum() / s[0].numel() ** 0.5 for s in scores), real, create_graph=True)
            (slope.square().sum((1, 2, 3)).mean() * (self.R1 * 0.5 * self.R1_EVERY)).backward()
        world.average(list(self.parameters()))
        self.optimizer.step()

    def balanced(self, name: str, loss: Tensor, picture: Tensor, share: Tensor | float = 1.0) -> Tensor:
        """Gradient of a loss at the picture, scaled to the loss's share by its running norm."""
        (gradient,) = torch.autograd.grad(loss, picture, retain_graph=True)
        norm = gradient.float().norm()
        self.norms[name] = self.norms[name].lerp(norm, 0.05) if name in self.norms else norm
        return gradient.float() * (share * self.SHARES[name] / (self.norms[name] + 1e-12))

    def gradient(self, picture: Tensor, real: Tensor, maps: list[Tensor], wanted: list[Tensor], mixed: int) -> Tensor:
        """Gradient of all the generator's losses at its pictures `[N, 3, 128, 128]`.

        The first `mixed` pictures have styles of two people and no render of their own: only the discriminators' losses
        apply to them. For the others, paired losses compare what does not depend on the draw of the fine detail: the
        picture at 32 px, the face, and how much of each feature there is in each of 8 x 8 cells.
        """
        own, given, right = picture[mixed:], real[mixed:], [m[mixed:] for m in wanted]
        total = self.balanced("pyramid", pyramid_loss(shrink(own, 32), shrink(given, 32)), picture)
        face = self.face
        near = (face * (own - given).abs()).mean() + (shrink(face, 64) * shrink(own - given, 64).abs()).mean()
        total = total + self.balanced("face", near, picture)
        total = total + self.balanced("features", cell_loss([m[mixed:] for m in maps], right), picture)
        for name, scores in self.scores(picture, maps, wanted).items():
            share = (self.gaps[name] / 0.5).clamp(0, 1)
            told = self.balanced(name, -sum(s.mean() for s in scores), picture, share)
            if name == "patches":  # the paired losses keep the eyes clean
                told = (1 - 0.7 * face) * told
            total = total + told
        return total
