"""A method is applied to a batch of inputs, with a bar of its steps."""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from rusr_core import baselines, priors
from rusr_core.baselines import Configured, Tuned
from rusr_core.baselines.tuned import COLUMNS, base_of, configured, draws_samples, prior_of
from rusr_core.commands.estimates import briefly
from rusr_core.commands.options import CommandError, find_own_modules
from rusr_core.commands.output import complain
from rusr_core.degradations.base import Degradation
from rusr_core.errors import in_a_line
from rusr_core.limits import is_whole
from rusr_core.photos.credentials import Signer
from rusr_core.photos.records import Misfit, misfits
from rusr_core.presets import PRESETS, Preset
from rusr_core.prior import DiffusionPrior, Prior
from rusr_core.priors import denoiser_beside
from rusr_core.restore import Step, restore
from rusr_core.results import Restoration, Samples
from rusr_core.search.sampling import check_samples, prior_spread
from rusr_core.sweeps.own_methods import find_own


def method_of(args: argparse.Namespace) -> Preset | Configured | Tuned:
    """The method that --method, --steps and --samples ask for, one of ours or MODULE:FUNCTION of somebody's own.

    Raises CommandError for options without an effect."""
    if ":" in args.method:
        find_own_modules()
        method = find_own(args.method, args.steps, args.tuned)
    else:
        method = baselines.find(args.method, args.steps, args.tuned)
    check_denoiser(args.denoiser, {method.name: method})
    check_tuned(args.tuned, {method.name: method})
    check_identity(args.identity, method)
    check_samples_drawn(args.samples, {method.name: method})
    return method


def check_samples_drawn(samples: int | None, methods: Mapping[str, object]) -> None:
    """Raise CommandError if several samples are wanted and none of these methods, by name, draws them, BaselineError if
    one of them cannot draw so many.
    """
    if (samples or 1) > 1 and not any(map(draws_samples, methods.values())):
        *those, last = (name for name, method in baselines.METHODS.items() if method.samples)
        words = f"draw{'s' if len(methods) == 1 else ''} no samples"
        raise CommandError(
            f"--samples {samples}: {_named(methods)} {words}; expected a preset, {', '.join(those)} or {last}"
        )
    for how in methods.values():
        if draws_samples(how) and isinstance(how, Configured | Tuned):
            how.check_samples(samples)


def check_denoiser(file: str | None, methods: Mapping[str, object]) -> None:
    """Raise CommandError if --denoiser is given and none of these methods, by name, restores with one."""
    if file is not None and not any(prior_of(how) == "diffusion" for how in methods.values()):
        *those, last = (name for name, method in baselines.METHODS.items() if method.prior == "diffusion")
        raise CommandError(f"--denoiser {file}: {_listed(methods)} without one; expected {', '.join(those)} or {last}")


def check_tuned(folder: Path | None, methods: Mapping[str, object]) -> None:
    """Raise CommandError if --tuned is given and none of these methods, by name, has settings that lie there."""
    if folder is not None and not any(isinstance(how, Tuned) for how in methods.values()):
        forms = " or ".join(_tuned_forms(methods))
        raise CommandError(f"--tuned {folder}: {_listed(methods)} without tuned settings; expected {forms}")


def _tuned_forms(methods: Mapping[str, object]) -> list[str]:
    """What would name the settings that `rusr tune` has found for this method, or for any of several."""
    name, own = "NAME", ""
    if len(methods) == 1:
        (word, how), *_ = methods.items()
        own = how if isinstance(how, str) else getattr(base_of(how), "reference", "")
        word = word.removesuffix(own).rstrip("=") if own else word  # of `rusr restore` it is NAME=MODULE:NAME
        name = word.partition("@")[0] or name
    return [f"{name}@{column}{'=' if own else ''}{own}" for column in COLUMNS]


def check_identity(network: str | None, method: Preset | Configured | Tuned) -> None:
    """Raise CommandError if --identity is given and the method compares no faces; tuned settings belong to it."""
    used = isinstance(method, Tuned) or (isinstance(method, Preset) and method.identity_weight > 0)
    if network is not None and not used:
        those = " or ".join(name for name, preset in PRESETS.items() if preset.identity_weight > 0)
        raise CommandError(f"--identity {network}: {method.name} compares no faces; expected {those}")


def _listed(methods: Mapping[str, object]) -> str:
    """The first of these methods, as the subject of "restore"."""
    return f"{_named(methods)} restore{'s' if len(methods) == 1 else ''}"


def _named(methods: Mapping[str, object]) -> str:
    names = list(methods)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"


def check_able(method: Preset | Configured | Tuned, f: Degradation | None) -> None:
    """Raise CommandError if the method cannot invert f; None is not known yet."""
    reason = method.reason(f) if f is not None and not isinstance(method, Preset) else None
    if reason is not None:
        raise CommandError(f"{method.name} is n/a for {briefly(f)}: {reason}")


def restoring_prior(
    method: Preset | Configured | Tuned, prior: Prior, args: argparse.Namespace
) -> Prior | DiffusionPrior:
    """What the method restores with: the prior, or the denoiser beside it.

    Raises ZooError where there is no such denoiser, BaselineError if the method was tuned with other weights.
    """
    found = denoiser_beside(prior, args.prior, args.denoiser) if prior_of(method) == "diffusion" else prior
    if isinstance(method, Tuned):
        method.check(found)
    return found


def loaded_prior(args: argparse.Namespace, device: str) -> Prior:
    """The prior that the options of `options.prior_options` ask for, on a device. Raises as `priors.load_prior`."""
    find_own_modules()
    networks = dict(perceptual=args.perceptual, identity=args.identity)
    return priors.load_prior(args.prior, device=device, label=args.label, **networks)


@dataclass
class Restoring:
    """What a command restores with; what is finished is saved at once."""

    args: argparse.Namespace
    prior: Prior  # whose name the records have
    restoring: Prior | DiffusionPrior  # what the method restores with
    method: Preset | Configured | Tuned
    signer: Signer | None = field(default=None, kw_only=True)
    interrupted: bool = field(default=False, kw_only=True)

    def search(self, y: Tensor, f: Degradation, bar: tqdm) -> Restoration:
        """The restoration of y `[N, 3, h, w]` in [0, 1], with as many answers to each as were asked for."""
        check_samples(self.args.samples, self.prior)
        if self.args.samples > 1 and not isinstance(base_of(self.method), Preset):
            _ = self.prior_spread  # before the search, so that nothing can fail between its end and its result
        options = {"seed": self.args.seed, "samples": self.args.samples}
        return apply(self.method, self.restoring, y, f, bar=bar, **options)

    def answers(self, result: Restoration) -> Tensor:
        """What is shown of each y `[N, k, 3, R, R]`: the k answers that were asked for; one is the method's picture."""
        return result.picture[:, None] if self.args.samples == 1 else result.answers

    def invented(self, result: Restoration) -> Tensor:
        """What several answers invented `[N, 1, R, R]`, beside the pictures of the generator."""
        return result.invented if isinstance(result, Samples) else result.invented_beside(self.prior_spread)

    @cached_property
    def prior_spread(self) -> Tensor:
        """What varies over the generator's own pictures `[1, 1, R, R]`, drawn once a run."""
        return prior_spread(self.prior)

    def explained(self, result: Restoration, y: Tensor, f: Degradation) -> list[Misfit]:
        """How well the first answer to each of y explains it. What keeps it from being measured (the true operation of
        somebody's own f, want of memory, Ctrl-C) costs no result, and is said.
        """
        try:
            return misfits(self.prior, self.answers(result)[:, 0].cpu(), y, f, self.args.seed)
        except KeyboardInterrupt:
            self.interrupted, reason = True, "interrupted"
        except Exception as error:
            reason = in_a_line(error)
        complain(f"warning: how well the result explains its input was not measured ({reason})")
        return [Misfit(None)] * len(y)


def apply(
    method: Preset | Configured | Tuned,
    prior: Prior | DiffusionPrior,
    y: Tensor,
    f: Degradation,
    *,
    seed: int,
    bar: tqdm,
    samples: int = 1,
) -> Restoration:
    """The restoration of y `[N, 3, h, w]` in [0, 1], with `samples` answers to each; 1: what the method gives."""
    options = {"seed": seed, "callback": _progress(bar)}
    if isinstance(method, Preset):
        return restore(prior, y, f, preset=method, samples=samples, **options)
    return method.restore(prior, y, f, samples=samples if samples > 1 else None, **options)


def planned_steps(method: Preset | Configured | Tuned, samples: int = 1) -> int:
    """How many steps the method takes at most, for the bar."""
    if isinstance(method, Tuned):
        each = (configured(method.base, method.name, values) for values in method.settings.values())
        return max(planned_steps(one, samples) for one in each)
    if isinstance(method, Preset):
        return sum(phase.steps for phase in method.phases)
    runs = 1 if "samples" in method.settings else samples
    steps = method.settings.get("steps", 0)
    return runs * int(steps) if is_whole(steps) else 0


def images_at_once(method: Preset | Configured | Tuned, batch: int, samples: int) -> int:
    """How many images --batch means: the answers of a preset share a batch, draws of a posterior follow each other."""
    return max(1, batch // samples) if isinstance(base_of(method), Preset) else batch


def diverged(result: Restoration) -> list[str | None]:
    """Of each row of its `steps` why it is not finished, or None: only a search says so."""
    return list(getattr(result, "diverged", [None] * len(result.steps)))


def _progress(bar: tqdm) -> Callable[[Step], None]:
    def callback(step: Step) -> None:
        total = step.losses.get("total")  # samplers that follow no gradient have none
        words = step.phase if total is None else f"{step.phase}, loss {total.nanmean():.3f}"
        bar.set_postfix_str(words, refresh=False)
        bar.update()

    return callback
