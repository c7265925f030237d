"""One step of a generator's training: distillation without noise, then the adversarial stage with fresh noise.

A picture has to be a function of its latent: everything that a search should find lies in w, and noise is left with
what has no place in it, the course of single strands and threads. So the distillation runs with noise off against
renders without fine detail, and the adversarial stage draws its noise afresh for every picture, where no paired loss
rewards a particular draw. The maps that are stored in the file are one draw like any other.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from rusr_core.checkpoints import load_generator
from rusr_core.generator import Generator, GeneratorConfig
from rusr_core.networks.portrait_net import PortraitNet
from tools.portraits.renderer import Z_DIM
from tools.portraits.training.adversary import Adversary
from tools.portraits.training.distillation import autocast, feature_loss, pyramid_loss, shrink
from tools.portraits.training.latent_network import FactorNet
from tools.portraits.training.path_length import PathLength
from tools.portraits.training.plan import Plan
from tools.portraits.training.training_set import World

FAINT = 0.03  # strength of fresh noise before the adversary speaks of it, in units of the activations
COARSE = 16  # pixels: up to here noise starts at zero, for it would move the face


def new_generator(plan: Plan) -> Generator:
    """An untrained generator.

    The outputs of the blocks above 32 px start at zero, so that a new stage begins with what the last one learned.
    """
    config = GeneratorConfig(128, plan.channels, z_dim=Z_DIM, w_dim=plan.w_dim, mapping_layers=4, layer_features=384)
    G = Generator(config)
    for size in (64, 128):
        getattr(G.synthesis, f"b{size}").torgb.weight.data.zero_()
    return G


def draw_noise(G: Generator, seed: int) -> None:
    """Fill the stored noise maps with one draw of N(0, 1) and make their strengths faint."""
    generator = torch.Generator().manual_seed(seed)
    for module in G.synthesis.modules():
        if hasattr(module, "noise_const"):
            module.noise_const.copy_(torch.randn(module.noise_const.shape, generator=generator))
            module.noise_strength.data.fill_(0.0 if module.resolution <= COARSE else FAINT)


def mix_styles(w: Tensor, other: Tensor, layers: int, generator: torch.Generator) -> Tensor:
    """W+ `[N, layers, D]` that follows w `[N, D]` up to a random layer, then `other` (CVPR 2019, section 3.1)."""
    crossover = torch.randint(1, layers, (len(w), 1), generator=generator).to(w.device)
    first = torch.arange(layers, device=w.device)[None] < crossover
    return torch.where(first[..., None], w[:, None], other[:, None])


@contextmanager
def fresh_noise(synthesis: torch.nn.Module, count: int, generator: torch.Generator) -> Iterator[None]:
    """Inside, noise mode "const" adds a new draw of the maps for each of `count` pictures.

    The mode "random" draws on the CPU, so that one seed gives one picture everywhere, and a GPU would wait for it in
    every step of a training. Here `generator` lies where the network lies.
    """
    layers = [m for m in synthesis.modules() if hasattr(m, "noise_const")]
    stored = [m.noise_const for m in layers]
    for m in layers:
        shape = (count, 1, m.resolution, m.resolution)
        m.noise_const = torch.randn(shape, generator=generator, device=generator.device)
    try:
        yield
    finally:
        for m, maps in zip(layers, stored, strict=True):
            m.noise_const = maps


class Trainer:
    """Everything that training changes: the networks, their averages, the optimisers, and the count of images.

    A new generator gets its latents from a `FactorNet`; a finished one, read from `start`, from its own mapping
    network, which is trained with the rest. With `forget_noise` its noise maps, which were trained, are drawn anew.
    """

    def __init__(
        self,
        plan: Plan,
        device: torch.device,
        channels: tuple[int, ...],
        start: Path | None = None,
        forget_noise: bool = False,
    ):
        self.plan, self.device, self.seen, self.fitted = plan, device, 0, False
        with torch.random.fork_rng(devices=[]):  # a plan's seed gives its weights; nobody else's numbers change
            torch.manual_seed(plan.seed)
            G = new_generator(plan) if start is None else load_generator(start)
            self.latents = FactorNet(plan.w_dim).to(device) if start is None else None
        if start is None or forget_noise:
            draw_noise(G, plan.seed)
        self.G = G.to(device, memory_format=torch.channels_last)
        self.G.synthesis.requires_grad_(True)
        self.G.mapping.requires_grad_(start is not None)
        self.G_ema, self.latents_ema = copy.deepcopy(self.G), copy.deepcopy(self.latents)
        latents = list((self.G.mapping if self.latents is None else self.latents).parameters())
        self.weights = [*self.G.synthesis.parameters(), *latents]
        self.optimizer = self._optimizer(latents, start is not None)
        self.path_length = PathLength()
        self.adversary = Adversary(plan.seed, channels).to(device)

    def _optimizer(self, latents: list[Tensor], finished: bool) -> torch.optim.Adam:
        """Adam, with the share of the learning rate that each kind of weight gets."""
        strengths = {id(p) for n, p in self.G.named_parameters() if n.endswith("noise_strength")}
        # a mapping network's weights are stored divided by its rate multiplier, and here want a quarter of the rate
        share = 0.25 / self.G.config.mapping_lr if finished else 1.0
        groups = [
            {"params": [p for p in self.G.synthesis.parameters() if id(p) not in strengths], "share": 1.0},
            {"params": [p for p in self.weights if id(p) in strengths], "share": 0.2},
            {"params": latents, "share": share},
        ]
        return torch.optim.Adam(groups, lr=self.plan.rate, betas=(0.9, 0.99), fused=self.device.type == "cuda")

    def fit(self, speed: float, seconds: float) -> None:
        """Make the last stage as long as `seconds` allow at `speed` pictures a second; a resumed run keeps to it."""
        self.plan, self.fitted = self.plan.within(self.seen, speed, seconds), True

    def state(self) -> dict:
        """What a resumed run needs."""
        modules = {name: m.state_dict() for name, m in self._modules().items()}
        rest = {"optimizer": self.optimizer.state_dict(), "path_length": self.path_length.mean, "seen": self.seen}
        return modules | rest | ({"images": self.plan.images} if self.fitted else {})

    def _modules(self) -> dict[str, torch.nn.Module]:
        names = ("G", "latents", "G_ema", "latents_ema", "adversary")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def restore(self, state: dict) -> None:
        """Continue from `state()`."""
        for name, module in self._modules().items():
            module.load_state_dict(state[name])
        self.optimizer.load_state_dict(state["optimizer"])
        self.path_length.mean, self.seen = state["path_length"], state["seen"]
        if "images" in state:
            self.plan, self.fitted = replace(self.plan, images=tuple(state["images"])), True

    def latent(self, z: Tensor, average: bool = False) -> Tensor:
        """Latents `[N, D]` of z."""
        G, latents = (self.G_ema, self.latents_ema) if average else (self.G, self.latents)
        return (G.mapping.to_w(z) if latents is None else latents(z)).float()

    def output(self, z: Tensor, size: int, average: bool = False, noise: str = "none") -> Tensor:
        """Pictures `[N, 3, size, size]` about [-1, 1]; `noise` as the generator's `noise_mode`."""
        G = self.G_ema if average else self.G
        with autocast(self.device):
            return G.synthesis(self.latent(z, average), noise_mode=noise, max_resolution=size).float()

    def update_averages(self) -> None:
        """Exponential moving averages; their memory grows with the count of images."""
        memory = min(self.plan.ema_images, 0.1 * self.seen + self.plan.batch)
        keep = 1 - self.plan.batch / (memory + self.plan.batch)
        with torch.no_grad():
            for average, current in ((self.G_ema, self.G), (self.latents_ema, self.latents)):
                if current is None:
                    continue
                pair = (list(module.state_dict().values()) for module in (average, current))
                torch._foreach_lerp_(*pair, 1 - keep)

    def distil(self, z: Tensor, flat: Tensor, net: PortraitNet, world: World) -> Tensor:
        """One step of distillation, noise off, against renders without fine detail; returns the loss before it."""
        size = self.plan.size(self.seen)
        output, target = self.output(z, size), shrink(flat, size)
        loss = pyramid_loss(output, target)
        if size >= 64 and self.plan.feature_weight:
            with autocast(self.device):
                loss = loss + self.plan.feature_weight * feature_loss(net, output, target)
        self.optimizer.zero_grad()
        loss.backward()
        self._step(world)
        return loss.detach()

    def sharpen(self, z: Tensor, x: Tensor, net: PortraitNet, world: World) -> Tensor:
        """One step of all players with fresh noise, against renders with fine detail; returns the mean gap between
        the discriminators' scores for renders and outputs."""
        number = self.seen // self.plan.batch
        g = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + self.seen + 7 + world.rank)
        mixed = int(self.plan.mixing * len(z))
        here = torch.Generator(self.device).manual_seed(g.initial_seed())
        with autocast(self.device), fresh_noise(self.G.synthesis, len(z), here):
            w = self.latent(z)
            ws = w[:, None].repeat(1, self.G.num_ws, 1)
            ws = torch.cat([mix_styles(w[:mixed], w.roll(1, 0)[:mixed], self.G.num_ws, g), ws[mixed:]])
            output = self.G.synthesis(ws, noise_mode="const").float()
        fake = output.detach()
        picture = fake.clone().requires_grad_()
        with autocast(self.device):
            with torch.no_grad():
                wanted = net.activations(x * 0.5 + 0.5)
            maps = net.activations(picture * 0.5 + 0.5)
        regularise = number % self.adversary.R1_EVERY == 0
        self.adversary.judge(fake, x, [m.detach() for m in maps], wanted, regularise, world)
        gradient = self.adversary.gradient(picture, x, maps, wanted, mixed)
        self.optimizer.zero_grad()
        output.backward(gradient * 100)
        if number % self.path_length.EVERY == 0:
            self._even_paths(z, g)
        self._step(world)
        return torch.stack(list(self.adversary.gaps.values())).mean()

    def _even_paths(self, z: Tensor, g: torch.Generator) -> None:
        """Path-length regularisation at half of the batch, with noise off: it is a matter of w alone."""
        with autocast(self.device):
            w = self.latent(z[: max(1, len(z) // 2)])
            penalty = self.path_length.penalty(w, lambda w: self.G.synthesis(w, noise_mode="none"), g)
        self.path_length.add_gradients(penalty, [p for p in self.weights if p.grad is not None])

    def _step(self, world: World) -> None:
        """Average the gradients over the processes, then one step of Adam and of the averages."""
        world.average(self.weights)
        rate = self.plan.learning_rate(self.seen)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["share"]
        self.optimizer.step()
        self.seen += self.plan.batch
        self.update_averages()
