"""`rusr photo IN OUT` finds the faces of a photograph, restores them and puts them back."""

import argparse
from dataclasses import dataclass, field

from torch import Tensor
from tqdm import tqdm

from rusr_core import baselines, priors
from rusr_core.baselines import Configured, Tuned
from rusr_core.commands.align import align_all
from rusr_core.commands.jobs import Inputs, Job, find_jobs
from rusr_core.commands.memory import out_of_memory
from rusr_core.commands.operators import Operators
from rusr_core.commands.options import (
    INTERRUPTED,
    degradation_options,
    device_of,
    file_options,
    search_options,
)
from rusr_core.commands.output import complain
from rusr_core.commands.saving import Finished, Outcome, save, save_as
from rusr_core.commands.searching import apply, diverged, planned_steps, restoring_prior
from rusr_core.commands.subjects import Subject, face_option, subjects_of, whole
from rusr_core.degradations.base import Degradation
from rusr_core.errors import RusrError
from rusr_core.photos.align import FFHQ, PORTRAITS, side_of
from rusr_core.photos.paste import enlarged, paste
from rusr_core.photos.pictures import MAX_PIXELS, as_picture, load_picture
from rusr_core.photos.records import Misfit, misfits, record_of
from rusr_core.presets import Preset
from rusr_core.prior import DiffusionPrior, Prior, prior_shape

LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")


def photo_options(parser: argparse.ArgumentParser) -> None:
    file_options(parser)
    degradation_options(parser, masks=False)
    search_options(parser)
    face_option(parser)
    parser.add_argument("--aligned", action="store_true", help="look for no face: the picture is aligned already")
    parser.add_argument(
        "--keep-size",
        action="store_true",
        help="OUT has the size of IN; by default a picture whose faces are smaller than the prior's is enlarged by a "
        "whole factor, so that what was restored can be seen",
    )


def run_photo(args: argparse.Namespace) -> int:
    """Restore the faces of a photograph, or of every one in a folder.

    Returns 0; 1 if a photograph was left out, a face diverged, or a result was not saved where it was wanted; after
    Ctrl-C it returns 130, and what there is has been saved.
    """
    method = baselines.find(args.method, args.steps, args.tuned)
    device, operators = device_of(args.device), Operators(args)
    jobs = find_jobs(args, recorded=True)
    if not jobs:
        return 0
    lossy = [job.target for job in jobs if job.target.suffix.lower() in LOSSY]
    if lossy:
        complain(
            f"warning: {lossy[0]} is a JPEG file, which changes all pixels a little; PNG keeps those outside faces"
        )
    networks = dict(perceptual=args.perceptual, identity=args.identity)
    prior = priors.load_prior(args.prior, device=device, label=args.label, **networks)
    run = _Photos(args, prior, restoring_prior(method, prior, args), method, operators)
    good = run.inputs.check(jobs, args.skip_bad)
    operators.tell()
    everything = len(good) == len(jobs)
    for job in good:
        everything &= run.one(job)
        if run.interrupted:
            return INTERRUPTED
    return 0 if everything else 1


@dataclass
class _Photos:
    """One photograph after another: what is finished is saved at once."""

    args: argparse.Namespace
    prior: Prior  # whose name the records have
    restoring: Prior | DiffusionPrior  # what the method restores with
    method: Preset | Configured | Tuned
    operators: Operators
    interrupted: bool = False
    subjects: dict[Job, list[Subject]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inputs = Inputs(self._read)

    def _read(self, job: Job) -> Tensor:
        """The faces of a photograph, upright, `[N, 3, h, w]`, of the size that the degradation makes."""
        picture = load_picture(job.source)
        frame = PORTRAITS if self.prior.name == priors.EMBEDDED else FFHQ
        if job not in self.subjects:
            found = subjects_of(job.source, picture, frame, self.args.face) if not self.args.aligned else whole(picture)
            self.subjects[job] = found
        size = self.operators.input_size(prior_shape(self.prior, 1)[-1])
        self.operators.of(job.source, (picture.shape[1], picture.shape[2]), size)
        return align_all(picture, [subject.quad for subject in self.subjects[job]], size)

    def one(self, job: Job) -> bool:
        """Restore, paste and save one photograph; whether all of it is as it was wanted."""
        if self.args.skip_existing and job.target.exists():
            return True
        y, f = self.inputs.take(job), self.operators.known(job.source)
        restored: list[_Restored] = []
        try:
            for part in y.split(self.args.batch):
                restored += self._search(part, f, job)
                if self.interrupted:
                    break
        except (RusrError, RuntimeError, MemoryError) as error:
            if not isinstance(error, RusrError) and not out_of_memory(error):
                raise
            reason = str(error) if isinstance(error, RusrError) else "not enough memory; --batch 1 takes the least"
            complain(f"error: {job.source}: {reason}")
            return False
        return self._save(job, f, restored)

    def _search(self, y: Tensor, f: Degradation, job: Job) -> list["_Restored"]:
        with tqdm(total=planned_steps(self.method), unit="step", desc=job.source.name, disable=None) as bar:
            result = apply(self.method, self.restoring, y, f, seed=self.args.seed, bar=bar)
        self.interrupted = result.interrupted
        image = result.image.cpu()
        found = misfits(self.prior, image, y, f, self.args.seed)
        seconds = result.seconds / len(y)
        rows = zip(image.split(1), found, result.steps, diverged(result), strict=True)
        return [_Restored(x, misfit, count, reason, seconds) for x, misfit, count, reason in rows]

    def _save(self, job: Job, f: Degradation, restored: list["_Restored"]) -> bool:
        """Paste what was restored; a face that diverged stays as it was."""
        subjects = self.subjects[job][: len(restored)]
        good = True
        picture = load_picture(job.source)
        times = 1 if self.args.keep_size else _times(picture, subjects, self.prior.generator.resolution)
        picture = enlarged(picture, times)
        for subject, face in zip(subjects, restored, strict=True):
            if face.diverged is not None:
                complain(f"error: {job.source}: face {subject.number} stays as it was: {face.diverged}")
                good = False
                continue
            if face.misfit.warning:
                complain(f"warning: {job.source}: face {subject.number}: {face.misfit.warning}")
            picture = paste(picture, face.image, subject.quad * times)
        finished = self._finished(job, f, picture, subjects, restored, times)
        counts = ", ".join(str(face.steps) for face in restored)
        faces = f"{len(restored)} face{'s' if len(restored) > 1 else ''}"
        words = f"{faces}, {counts} steps, {sum(face.seconds for face in restored):.1f} s"
        if self.interrupted:
            save_as(finished, job.target, "interrupted", f"{words}, interrupted")
            return False
        return good & (save(finished, job.target, self.args, words) is not Outcome.ELSEWHERE)

    def _finished(
        self, job: Job, f: Degradation, picture: Tensor, subjects: list[Subject], faces: list["_Restored"], times: int
    ) -> Finished:
        marked = not self.args.no_mark
        options = {"method": self.method.name, "seed": self.args.seed, "marked": marked}
        options |= {"steps": [face.steps for face in faces], "seconds": sum(face.seconds for face in faces)}
        rows = zip(subjects, faces, strict=True)
        boxes = [subject.record() | {"restored": face.diverged is None} for subject, face in rows]
        more = {"faces": boxes, "enlarged": times} | ({"interrupted": True} if self.interrupted else {})
        found = [face.misfit for face in faces]
        record = record_of(job.source, f, self.prior, found=found, more=more, **options)
        return Finished(as_picture(picture), record, marked)


@dataclass(frozen=True, eq=False)
class _Restored:
    """What a search made of one face."""

    image: Tensor  # [1, 3, R, R]
    misfit: Misfit
    steps: int
    diverged: str | None
    seconds: float


def _times(picture: Tensor, subjects: list[Subject], resolution: int) -> int:
    """The whole factor at which the largest of the restored faces is shown in full, as far as memory allows."""
    side = max(side_of(subject.quad) for subject in subjects)
    most = int((MAX_PIXELS / (picture.shape[1] * picture.shape[2])) ** 0.5)
    return max(1, min(round(resolution / side), most))
