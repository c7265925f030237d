"""`rusr restore IN OUT` restores an image or a folder of them."""

import argparse
import os
import random
import threading
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from rusr_core.baselines import Configured, Tuned
from rusr_core.commands.estimates import Estimates, nothing_said
from rusr_core.commands.jobs import Inputs, Job, batches, check_beside, check_left, find_jobs
from rusr_core.commands.memory import reason_of
from rusr_core.commands.operators import Operators, batched
from rusr_core.commands.options import INTERRUPTED, CommandError, device_of, picture_options, search_options
from rusr_core.commands.output import complain, say
from rusr_core.commands.saving import (
    KEPT,
    Finished,
    Outcome,
    others,
    save,
    save_as,
    signer_of,
    warn_of_unmarked,
    why_unmarked,
)
from rusr_core.commands.searching import (
    Restoring,
    check_able,
    diverged,
    images_at_once,
    loaded_prior,
    method_of,
    planned_steps,
    restoring_prior,
)
from rusr_core.errors import RusrError
from rusr_core.images import fit_image, load_image
from rusr_core.photos.records import Misfit, is_same_work, record_of, work_of
from rusr_core.presets import Preset
from rusr_core.prior import Prior, prior_shape
from rusr_core.results import Restoration, Samples

LACK = "not enough memory to restore images of this size; --batch 1 takes the least"


def restore_options(parser: argparse.ArgumentParser) -> None:
    picture_options(parser)
    search_options(parser)


def run_restore(args: argparse.Namespace) -> int:
    """Restore a file or every image of a folder; by what the files say if the options say nothing.

    Returns 0; 1 if an image was left out, diverged, or could not be saved where it was wanted; 130 after Ctrl-C.
    """
    method = method_of(args)
    device = device_of(args.device)
    operators = Estimates() if nothing_said(args) else Operators(args)
    check_able(method, operators.common)
    jobs, done = find_jobs(args, recorded=True)
    if not jobs:
        return 0
    check_beside(args, jobs, lambda job: others(job.target, args.samples))
    warn_of_unmarked(args, [job.target for job in jobs])
    signer = signer_of(args, [job.target for job in jobs])
    prior = loaded_prior(args, device)
    restoring = restoring_prior(method, prior, args)
    size = operators.input_size(prior_shape(prior, 1)[-1])
    inputs = Inputs(lambda job: _load_degraded(job.source, size, args.fit, operators, method))
    good = inputs.check(jobs, args.skip_bad, done)
    for job in good:
        check_left(args, others(job.target, args.samples), partial(_work, args, job, operators, prior, method))
    operators.tell()
    steps = planned_steps(method, args.samples)
    at_once = images_at_once(method, args.batch, args.samples)
    waiting = list(batches(good, at_once, lambda job: operators.kind(job.source)))
    everything, planned = len(good) == len(jobs), len(waiting)
    with tqdm(total=steps * planned, unit="step", disable=None) as bar:
        run = _Run(args, prior, restoring, method, operators, inputs, bar, signer=signer)
        while waiting:
            everything &= run.restore(waiting.pop(0))
            if run.interrupted:
                return INTERRUPTED
            run.part(waiting)
            bar.update(steps * (planned - len(waiting)) - bar.n)  # early stopping leaves steps undone
    return 0 if everything else 1


def _load_degraded(
    path: Path,
    size: tuple[int, int] | None,
    fit: str | None,
    operators: Operators | Estimates,
    method: Preset | Configured | Tuned,
) -> Tensor:
    """The degraded image `[1, 3, h, w]` of exactly `size`; others are brought to it only if `fit` asks for that.

    Without a `size` it stays as it is. CommandError if the method cannot invert what was done to it.
    """
    y = load_image(path)
    found = (y.shape[-2], y.shape[-1])
    size = found if size is None else size
    if found != size and fit is None:
        words = (f"{width}x{height} px" for height, width in (found, size))
        raise CommandError("{}: {}, but this degradation and prior give {}".format(path, *words))
    fitted = fit_image(y, size, fit)
    f = operators.of(path, found, size)
    if f is not operators.common:  # a mask, tables or an estimate of its own
        check_able(method, f)
    operators.compare(path, fitted)
    return fitted


def _work(
    args: argparse.Namespace,
    job: Job,
    operators: Operators | Estimates,
    prior: Prior,
    method: Preset | Configured | Tuned,
) -> dict[str, object]:
    """What the record of a job's picture will say of the work."""
    f = operators.known(job.source)
    return work_of(job.source, f, prior, method.name, args.seed, args.samples)


@dataclass
class _Run(Restoring):
    """The search for one batch after another."""

    operators: Operators
    inputs: Inputs
    bar: tqdm
    saved: int = 0
    met: bool = False  # whether another process on the same folder was before this one at the last batch
    meetings: int = 0
    order: random.Random = field(default_factory=lambda: random.Random(f"{os.getpid()} {threading.get_ident()}"))

    def restore(self, batch: list[Job]) -> bool:
        """Restore and save; whether every image of the batch is where it was wanted.

        A batch that fails as a whole is tried image by image, so that one image costs no other. Raises what the
        first search raises if there is nothing yet that could be lost, unless --skip-bad goes on.
        """
        left = [job for job in batch if not self._done(job)]
        self.met, batch = self.met or len(left) < len(batch), left
        if not batch:
            return True
        self.bar.set_description(batch[0].source.name)
        failure = None
        try:
            y = torch.cat([self.inputs.take(job) for job in batch])
            f = batched([self.operators.known(job.source) for job in batch])
            result = self.search(y, f, self.bar)
        except (RusrError, RuntimeError, MemoryError) as error:
            failure = reason_of(error, batch[0].source, LACK)
        if failure is None:
            return self._save(result, batch, self.explained(result, y, f))
        if len(batch) > 1:
            complain(f"{len(batch)} images at once: {failure}; going on with one at a time, as --batch 1 does")
            return all([self.interrupted or self.restore([job]) for job in batch])
        if not self.saved and not self.args.skip_bad:
            raise CommandError(failure)
        complain(f"error: {failure}")
        return False

    def _done(self, job: Job) -> bool:
        """Whether another process has finished an image meanwhile, which is said: before the work its target was free,
        or was left out. With --skip-existing whatever is there counts, else what says that it is this very result.
        """
        if not job.target.exists():
            return False
        if not self.args.skip_existing:
            work = _work(self.args, job, self.operators, self.prior, self.method)
            places = [job.target, *others(job.target, self.args.samples)]
            if self.args.force or not (all(map(Path.exists, places)) and is_same_work(job.target, work)):
                return False
        say(f"{job.target}: {KEPT}")
        return True

    def part(self, waiting: list[list[Job]]) -> None:
        """Who met another process goes on from the other end of what waits, so that two share a folder without a third
        image done twice; who meets somebody there, too, in an order of its own.
        """
        if self.met and self.meetings:
            self.order.shuffle(waiting)
        elif self.met:
            waiting.reverse()
        self.met, self.meetings = False, self.meetings + self.met

    def _save(self, result: Restoration, batch: list[Job], found: list[Misfit]) -> bool:
        self.interrupted |= result.interrupted
        good, rows = True, len(result.steps) // len(batch)
        for i, (job, misfit) in enumerate(zip(batch, found, strict=True)):
            row = i * rows  # of several searches the first
            words, reason = f"{result.steps[row]} steps, {result.seconds / len(batch):.1f} s", diverged(result)[row]
            free = result.info.get("free", {}).items()
            words += "".join(f", {name} from {facts['start']:.3g} to {facts['found'][row]:.3g}" for name, facts in free)
            finished = self._finished(result, i, row, job, misfit)
            if result.interrupted:
                save_as(finished, job.target, "interrupted", f"{words}, interrupted")
                continue
            if reason is not None:
                complain(f"error: {job.source}: {reason}")
                save_as(finished, job.target, "diverged", f"{words}, not finished")
                good = False
                continue
            if misfit.warning:
                complain(f"warning: {job.source}: {misfit.warning}")
            good &= self._save_others(result, i, job, finished)
            outcome = save(finished, job.target, self.args, words)  # last: --skip-existing looks for it
            good &= outcome is not Outcome.ELSEWHERE
            self.met = self.met or outcome is Outcome.KEPT
            self.saved += 1
        return good

    def _finished(self, result: Restoration, i: int, row: int, job: Job, misfit: Misfit) -> Finished:
        """The picture of input `i`, whose search is `row` of the result, with its record."""
        unmarked, f = why_unmarked(self.args, job.target), self.operators.known(job.source)
        options = {"method": self.method.name, "seed": self.args.seed, "found": [misfit], "unmarked": unmarked}
        num = len(result.picture)
        steps = result.steps[row : row + len(result.steps) // num]
        options |= {"steps": steps, "seconds": result.seconds / num, "answers": self.args.samples}
        record = record_of(job.source, f, self.prior, **options)
        free = {name: facts["found"][row] for name, facts in result.info.get("free", {}).items()}
        record |= ({"found": free} if free else {}) | ({"interrupted": True} if result.interrupted else {})
        if isinstance(self.operators, Estimates):
            record["estimate"] = self.operators.estimated[job.source].findings_record()
        return Finished(self.answers(result)[i, :1], record, not unmarked, source=job.source, signer=self.signer)

    def _save_others(self, result: Restoration, i: int, job: Job, first: Finished) -> bool:
        """Of several answers to image `i`: all but the first, their mean, and what was invented."""
        good, samples = True, self.args.samples
        if samples == 1:
            return good
        invented = self.invented(result)[i : i + 1]
        pictures = [*result.answers[i, 1:, None], result.mean[i : i + 1], invented.expand(-1, 3, -1, -1)]
        share = f"{100 * invented.mean():.0f} % of the picture's variance in the prior is left open"
        words = [*["another answer"] * (samples - 1), "the mean of the answers", share]
        if isinstance(result, Samples):
            words[: samples - 1] = (f"misfit {v:.2g}" for v in result.misfit[i, 1:].tolist())
            for number, reason in enumerate(result.diverged[i * samples : (i + 1) * samples], 1):
                if reason is not None:
                    complain(f"error: {job.source}, answer {number}: {reason}")
                    good = False
        for path, picture, text in zip(others(job.target, samples), pictures, words, strict=True):
            record = first.record | {"picture": path.name}
            finished = replace(first, image=picture, record=record, beside=False)  # the record of all is OUT.json
            good &= save(finished, path, self.args, text) is not Outcome.ELSEWHERE
        return good
