"""`rusr photo IN OUT` finds the faces of a photograph, restores them and puts them back."""

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from rusr_core import priors
from rusr_core.commands.faces import FaceDegradations, Faces, Part
from rusr_core.commands.jobs import Inputs, Job, check_beside, check_left, find_jobs
from rusr_core.commands.memory import reason_of
from rusr_core.commands.options import (
    INTERRUPTED,
    CommandError,
    degradation_options,
    device_of,
    file_options,
    search_options,
)
from rusr_core.commands.output import complain
from rusr_core.commands.saving import (
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
from rusr_core.commands.subjects import Subject, face_option, subjects_of, whole
from rusr_core.decoding import MOST_PIXELS
from rusr_core.degradations.operator import mask_of
from rusr_core.errors import RusrError
from rusr_core.photos.align import FFHQ, PORTRAITS, side_of
from rusr_core.photos.paste import enlarged, paste_into
from rusr_core.photos.pictures import as_picture, load_picture
from rusr_core.photos.records import Misfit, record_of, work_of
from rusr_core.prior import prior_shape
from rusr_core.results import Restoration

LACK = "not enough memory to restore faces of this size; --batch 1 takes the least"
LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif")


def photo_options(parser: argparse.ArgumentParser) -> None:
    file_options(parser)
    degradation_options(parser)
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
    """Restore the faces of a photograph, or of every one in a folder; by what the files say if the options do not.

    Returns 0; 1 if a photograph was left out, a face diverged, or a result was not saved where it was wanted; after
    Ctrl-C it returns 130, and what there is has been saved.
    """
    method, device, degradations = method_of(args), device_of(args.device), FaceDegradations(args)
    check_able(method, degradations.common)
    if args.aligned and args.face is not None:
        raise CommandError(f"--face {args.face}: --aligned looks for no face; expected one of them")
    jobs, done = find_jobs(args, recorded=True)
    if not jobs:
        return 0
    targets = [job.target for job in jobs]
    check_beside(args, jobs, lambda job: others(job.target, args.samples))
    lossy = [target for target in targets if target.suffix.lower() in LOSSY]
    if lossy:
        complain(
            f"warning: {lossy[0]} is a JPEG file, which changes all pixels a little; PNG keeps those outside faces"
        )
    warn_of_unmarked(args, targets)
    signer = signer_of(args, targets)
    prior = loaded_prior(args, device)
    degradations.for_prior(prior.generator.resolution)
    run = _Photos(args, prior, restoring_prior(method, prior, args), method, degradations, signer=signer)
    good = run.inputs.check(jobs, args.skip_bad, done)
    degradations.tell()
    everything = len(good) == len(jobs)
    for job in good:
        everything &= run.one(job)
        if run.interrupted:
            return INTERRUPTED
    return 0 if everything else 1


@dataclass(frozen=True, eq=False)
class _Restored:
    """What a search made of one face."""

    subject: Subject
    answers: Tensor  # [k, 3, R, R] in [0, 1], on the CPU
    invented: Tensor | None  # [1, 1, R, R], of several answers
    known: Tensor | None  # [1, 1, h, w], what a mask shows of it
    degradation: str
    misfit: Misfit  # of the first answer
    steps: list[int]
    diverged: str | None
    seconds: float


@dataclass
class _Photos(Restoring):
    """One photograph after another."""

    degradations: FaceDegradations
    subjects: dict[Job, list[Subject]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.inputs = Inputs(self._read)

    def _read(self, job: Job) -> Faces:
        """The faces of a photograph, upright, each of the size that its degradation makes."""
        picture = load_picture(job.source)
        frame = PORTRAITS if self.prior.name == priors.EMBEDDED else FFHQ
        if job not in self.subjects:
            found = subjects_of(job.source, picture, frame, self.args.face) if not self.args.aligned else whole(picture)
            self.subjects[job] = found
        faces = self.degradations.of(job.source, picture, self.subjects[job])
        for part in faces.parts:
            check_able(self.method, part.f)
        check_left(self.args, others(job.target, self.args.samples), partial(self._work, job, faces))
        return faces

    def _work(self, job: Job, faces: Faces) -> dict[str, object]:
        """What the record of a photograph will say of the work."""
        words = "; ".join(dict.fromkeys(str(part.f) for part in faces.parts))
        return work_of(job.source, words, self.prior, self.method.name, self.args.seed, self.args.samples)

    def one(self, job: Job) -> bool:
        """Restore, paste and save one photograph; whether all of it is as it was wanted. What fails costs no other."""
        if self.args.skip_existing and job.target.exists():
            return True
        restored: list[_Restored] = []
        try:
            faces = self.inputs.take(job)
            for part in _batches(faces, images_at_once(self.method, self.args.batch, self.args.samples)):
                restored += self._search(part, job)
                if self.interrupted:
                    break
            return self._save(job, faces, restored)
        except (RusrError, RuntimeError, MemoryError) as error:
            complain(f"error: {reason_of(error, job.source, LACK)}")
            return False

    def _search(self, part: Part, job: Job) -> list[_Restored]:
        with tqdm(
            total=planned_steps(self.method, self.args.samples), unit="step", desc=job.source.name, disable=None
        ) as bar:
            result = self.search(part.y, part.f, bar)
        self.interrupted = result.interrupted
        found, known = self.explained(result, part.y, part.f), self._known(part)
        several = self.args.samples > 1 and not self.interrupted
        invented = self.invented(result).cpu().split(1) if several else [None] * len(found)
        each = zip(known, invented, found, strict=True)
        return [self._restored(result, i, part, *facts) for i, facts in enumerate(each)]

    def _known(self, part: Part) -> list[Tensor | None]:
        """What the mask of each face shows of it, on the CPU."""
        like = torch.empty(prior_shape(self.restoring, len(part.y)), device=self.restoring.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the search has said them
            mask = mask_of(part.f, like)
        return [None] * len(part.y) if mask is None else list(mask.cpu().expand(len(part.y), -1, -1, -1).split(1))

    def _restored(
        self, result: Restoration, i: int, part: Part, known: Tensor | None, invented: Tensor | None, misfit: Misfit
    ) -> _Restored:
        """The face `i` of a part; it has diverged if its first answer has."""
        searches = len(result.steps) // len(part.y)
        rows = slice(i * searches, (i + 1) * searches)
        reason, steps = diverged(result)[rows][0], result.steps[rows]
        answers, seconds = self.answers(result)[i].cpu(), result.seconds / len(part.y)
        words = str(part.f)
        return _Restored(part.subjects[i], answers, invented, known, words, misfit, steps, reason, seconds)

    def _save(self, job: Job, faces: Faces, restored: list[_Restored]) -> bool:
        """Paste what was restored; a face that diverged stays as it was."""
        good = [face for face in restored if face.diverged is None]
        for face in restored:
            if face.diverged is not None:
                complain(f"error: {job.source}: face {face.subject.number} stays as it was: {face.diverged}")
            elif face.misfit.warning:
                complain(f"warning: {job.source}: face {face.subject.number}: {face.misfit.warning}")
        picture = load_picture(job.source)
        resolution = self.prior.generator.resolution
        times = 1 if self.args.keep_size else _times(picture, [face.subject for face in restored], resolution)
        picture = enlarged(picture, times)
        own = picture if self.args.samples == 1 else picture.clone()  # of 100 megapixels, a copy is 0.3 GB
        finished = self._finished(job, faces, _pasted(own, good, times, 0), restored, times)
        counts = ", ".join(str(face.steps[0]) for face in restored)
        words = f"{len(restored)} face{'s' if len(restored) > 1 else ''}, {counts} steps"
        words += f", {sum(face.seconds for face in restored):.1f} s"
        if self.interrupted:
            save_as(finished, job.target, "interrupted", f"{words}, interrupted")
            return False
        everything = len(good) == len(restored)
        for path, other, text in self._others(job.target, picture, good, times):
            record = finished.record | {"picture": path.name}
            beside = replace(finished, image=as_picture(other), record=record, beside=False)
            everything &= save(beside, path, self.args, text) is not Outcome.ELSEWHERE
        del picture, own  # the bytes of the file need their place
        return everything & (
            save(finished, job.target, self.args, words) is not Outcome.ELSEWHERE
        )  # last: see `others`

    def _others(
        self, target: Path, picture: Tensor, faces: list[_Restored], times: int
    ) -> Iterator[tuple[Path, Tensor, str]]:
        """Of several answers: where the others, their mean and what was invented go, and the photograph of each."""
        for number, path in enumerate(others(target, self.args.samples), 1):
            if number < self.args.samples:
                yield path, _pasted(picture.clone(), faces, times, number), "another answer"
            elif number == self.args.samples:
                yield path, _pasted(picture.clone(), faces, times, None), "the mean of the answers"
            else:
                shares = ", ".join(f"{100 * float(face.invented.mean()):.0f} %" for face in faces)
                text = f"{shares} of the faces' variance in the prior is left open"
                yield path, _invented(picture, faces, times), text

    def _finished(self, job: Job, faces: Faces, picture: Tensor, restored: list[_Restored], times: int) -> Finished:
        unmarked = why_unmarked(self.args, job.target)
        options = {"method": self.method.name, "seed": self.args.seed, "unmarked": unmarked}
        options |= {"answers": self.args.samples}
        options |= {"steps": [n for face in restored for n in face.steps]}
        options |= {"seconds": sum(face.seconds for face in restored), "found": [face.misfit for face in restored]}
        boxes = [
            face.subject.record() | {"degradation": face.degradation, "restored": face.diverged is None}
            for face in restored
        ]
        more = {"faces": boxes, "enlarged": times} | ({"interrupted": True} if self.interrupted else {})
        if faces.estimate is not None:
            more["estimate"] = faces.estimate.findings_record()
        words = "; ".join(dict.fromkeys(face.degradation for face in restored))
        record = record_of(job.source, words, self.prior, more=more, **options)
        return Finished(as_picture(picture), record, not unmarked, source=job.source, signer=self.signer)


def _batches(faces: Faces, size: int) -> Iterator[Part]:
    """The parts of a photograph, at most `size` faces at once."""
    for part in faces.parts:
        for begin in range(0, len(part.y), size):
            rows = slice(begin, begin + size)
            yield Part(part.subjects[rows], part.y[rows], part.f)


def _pasted(picture: Tensor, faces: list[_Restored], times: int, number: int | None) -> Tensor:
    """The photograph `[3, H, W]`, uint8, itself: now with the answer `number` of each face, or the answers' means."""
    for face in faces:
        image = face.answers.mean(0, keepdim=True) if number is None else face.answers[number : number + 1]
        paste_into(picture, image, face.subject.quad * times, known=face.known)
    return picture


def _invented(picture: Tensor, faces: list[_Restored], times: int) -> Tensor:
    """The map of a photograph: black where the input decides, white where the answers vary as the prior does."""
    picture = torch.zeros_like(picture)
    for face in faces:
        paste_into(picture, face.invented.expand(-1, 3, -1, -1), face.subject.quad * times, match=False)
    return picture


def _times(picture: Tensor, subjects: list[Subject], resolution: int) -> int:
    """The whole factor at which the largest of the restored faces is shown in full, as far as memory allows."""
    side = max(side_of(subject.quad) for subject in subjects)
    most = int((MOST_PIXELS / (picture.shape[1] * picture.shape[2])) ** 0.5)
    return max(1, min(round(resolution / side), most))
