"""When the search of an image ends before its last step: early stopping, and divergence."""

import warnings

import torch
from torch import Tensor

from rusr_core.errors import RusrError, RusrWarning

INFINITY = float("inf")


class RestorationError(RusrError):
    """The search cannot start, or all its images have diverged: a loss or a latent holds NaN or infinity."""


class EarlyStopping:
    """Stop an image after `patience` steps without a new best loss (the report, "Algorithm"). None: never."""

    def __init__(self, patience: int | None):
        self.patience = patience
        self.best: dict[int, float] = {}  # of each image
        self.waited: dict[int, int] = {}  # steps since then

    def stops(self, i: int, loss: float) -> bool:
        """Whether image `i` has waited long enough, now that its loss is `loss`."""
        if loss < self.best.get(i, INFINITY):
            self.best[i], self.waited[i] = loss, 0
        else:
            self.waited[i] = self.waited.get(i, 0) + 1
        return self.patience is not None and self.waited[i] >= self.patience


class LastFinite:
    """The latents at which the loss of each image was last a number: where an image stays that diverges."""

    def __init__(self, latents: list[Tensor]):
        self.latents = latents  # one tensor [1, ...] an image, changed in place by the optimiser
        self.good = [v.detach().clone() for v in latents]
        self.here: dict[int, Tensor] = {}

    def before_step(self, active: list[int]) -> None:
        """Remember where the losses of the `active` images have just been computed."""
        self.here = {i: self.latents[i].detach().clone() for i in active}

    def after_step(self, i: int, loss: bool, latent: bool) -> str | None:
        """What is no longer finite of image `i`, given whether its loss before the step and its latent after it are;
        None if nothing. An image that has diverged goes back to its last good latent."""
        if loss:
            self.good[i] = self.here[i]
        if loss and latent:
            return None
        with torch.no_grad():
            self.latents[i].copy_(self.good[i])
        return "latent" if loss else "loss"


class Progress:
    """How far each image of a batch has come in one phase, and which are still searched."""

    def __init__(self, space: str, latents: list[Tensor], patience: int | None, diverged: list[str | None]):
        """`latents`: one tensor [1, ...] an image. `diverged`, of each image, is None or says where, and is written to;
        an image that diverged in an earlier phase is not searched."""
        self.space, self.latents, self.diverged = space, latents, diverged
        self.active = [i for i, where in enumerate(diverged) if where is None]
        self.steps = [0] * len(latents)
        self.rows: list[dict[str, Tensor]] = []  # of each step: each loss term [N] on the CPU, NaN where stopped
        self._stopping, self._finite = EarlyStopping(patience), LastFinite(latents)

    def before_step(self) -> None:
        """The losses and their gradients are there, the latents have not moved yet."""
        self._finite.before_step(self.active)

    def after_step(self, losses: dict[str, Tensor]) -> None:
        """The latents have moved by the gradients of these losses, [n] each, of the active images.

        Warns of an image that has diverged. RestorationError if no image of the batch is left that has not.
        """
        # one transfer, since a GPU waits for each
        finite = torch.stack([self.latents[i].detach().isfinite().all() for i in self.active])
        table = torch.stack([*(value.detach().float() for value in losses.values()), finite.float()]).cpu()
        values = dict(zip(losses, table[:-1], strict=True))
        self.rows.append({name: self._scatter(value) for name, value in values.items()})
        searched, self.active = self.active, []
        for i, total, moved in zip(searched, values["total"].tolist(), table[-1].tolist(), strict=True):
            self.steps[i] += 1
            lost = self._finite.after_step(i, abs(total) < INFINITY, moved > 0)
            if lost is not None:
                self.diverged[i] = f"NaN or infinity in the {lost}, phase {self.space}, step {len(self.rows) - 1}"
            elif not self._stopping.stops(i, total):
                self.active.append(i)
        self._report(searched)

    @property
    def mask(self) -> Tensor:
        """[N] bool, the images that are still searched."""
        mask = torch.zeros(len(self.latents), dtype=torch.bool)
        mask[self.active] = True
        return mask

    @property
    def history(self) -> dict[str, Tensor]:
        """Each loss term, [steps, N]."""
        return {name: torch.stack([row[name] for row in self.rows]) for name in (self.rows[0] if self.rows else ())}

    def _scatter(self, values: Tensor) -> Tensor:
        full = torch.full((len(self.latents),), float("nan"))
        full[self.active] = values
        return full

    def _report(self, searched: list[int]) -> None:
        lost = [i for i in searched if self.diverged[i] is not None]
        if lost and all(self.diverged):
            raise RestorationError(f"image {lost[0]}: {self.diverged[lost[0]]}; no image of the batch is left")
        for i in lost:
            warning = f"image {i}: {self.diverged[i]}; it stays at its last finite latent"
            warnings.warn(warning, RusrWarning, stacklevel=6)  # where restore was called
