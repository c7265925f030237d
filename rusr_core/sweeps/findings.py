"""What the recordings show, in thirteen sentences: each with a number, its interval, and what would refute it.

Every number is computed from the recorded scores of single portraits. A sentence is written by a function that first
checks that the recording supports it and raises `FindingError` where it does not, so that no sentence survives a
recording that says something else. Chapter: book/findings.ipynb.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from rusr_core.errors import RusrError
from rusr_core.sweeps.factors import decided, distances, factor, per_cent, together
from rusr_core.sweeps.recordings import Recording, load
from rusr_core.tasks import TASKS

# the recordings of a prior: PRIOR and what follows its name
PARTS = ("", "-one-setting", "-ablations", "-ablations-cpu")
PHASES = ("W", "W+", "W++")
SINGLE_RATES = tuple(f"default-{space}-lr{factor}" for space in PHASES for factor in ("05", "2"))
RATES = {"05": "halved", "2": "doubled"}  # what ends the name of a variant, in words
TWO_PHASES = ("W+-W++", "W-W++", "W-W+")
SEARCHING = ("pulse", "brgm", "lbrgm", "mganprior", "pti", "na_nhmc")  # of which the best is named
NOISE = "denoising M"  # the task on which drawing twice, and stopping early, can matter most
FACES = ("denoising M", "deartifacting M", "inpainting M")  # tasks of the ablation whose input the identity term sees


class FindingError(RusrError):
    """A sentence that the recording does not support."""


@dataclass(frozen=True)
class Finding:
    """One sentence that the recordings support."""

    key: str
    claim: str  # a full sentence
    number: str  # what was measured: value and interval, in words
    value: float
    low: float
    high: float
    chapter: str  # where it is shown: the file's name in book/, without its ending
    refuted_by: str  # a result that would take the sentence away
    variants: tuple[str, ...] = ()  # of an ablation: those whose distances against the whole the sentence is about
    tasks: tuple[str, ...] | None = None  # on which, all by default
    again: tuple[tuple[float, float, float], ...] = ()  # of these variants, measured with other networks


def findings(
    main: Recording, tuned: Recording, ablation: Recording, again: Recording | None = None
) -> tuple[Finding, ...]:
    """The thirteen findings, from the recorded benchmark, the experiment with tuned rivals and the recorded ablation.

    `again` is a second ablation, with other networks, which may lack variants and tasks: no sentence may say the
    opposite of it. Raises `FindingError`, and `FactorError` for a recording that lacks a method or a task.
    """
    of_main: tuple[Callable[[Recording], Finding], ...] = (_against_published, _deartifacting, _diffusion)
    of_ablation: tuple[Callable[[Recording], Finding], ...] = (
        _single_phase, _which_phases, _start, _draws, _stopping, _identity_term, _rates,
    )  # fmt: skip
    first = *(write(main) for write in of_main), _tuned_rival(tuned), _own_price(tuned), _lost_person(main)
    return first + tuple(_measured_again(write(ablation), again) for write in of_ablation)


def recorded(prior: str) -> dict[str, Finding]:
    """The findings of the recordings of a prior, by their keys. RecordingError if one of `PARTS` is missing."""
    return {each.key: each for each in findings(*(load(prior + part) for part in PARTS))}


def _check(supported: bool, key: str, number: object) -> None:
    if not supported:
        raise FindingError(f"the recording does not support the finding {key!r}: found {number}")


def _measured_again(finding: Finding, again: Recording | None) -> Finding:
    """With what the second ablation says of its variants. FindingError if that is the opposite, see `_agrees`."""
    if again is None or not finding.variants or not _holds(again, finding.variants, finding.tasks or ()):
        return finding
    measured = tuple(together(again, finding.variants, "default", finding.tasks).values())
    _check(_agrees(finding, measured), finding.key, measured)
    return replace(finding, again=measured)


def _holds(recording: Recording, variants: tuple[str, ...], tasks: tuple[str, ...]) -> bool:
    """Whether a recording has all variants, on all of the tasks where some are named."""
    return set(variants) <= {*recording.methods} and all(recording.has(t, m) for t in tasks for m in variants)


def _agrees(finding: Finding, measured: tuple[tuple[float, float, float], ...]) -> bool:
    """Whether none of the second numbers contradicts the sentence: of a difference none may be decided the other way,
    of no difference the first may not be decided at all."""
    found = decided(finding.value, finding.low, finding.high)
    signs = [decided(*each) for each in measured]
    return -found not in signs if found else signs[0] == 0


def _against_published(main: Recording) -> Finding:
    measured = factor(main, "default", "cvpr2023")
    num = len({task for task, _ in distances(main, "default")})
    _check(measured[2] < 1, "published", measured)
    return Finding(
        "published",
        f"Over all {num} recorded tasks the setting of this book ends nearer to the truth than the published one.",
        f"distance {per_cent(*measured)}", *measured, "benchmark",
        "portraits of another prior, or photographs, on which the interval of the factor holds 1",
    )  # fmt: skip


def _deartifacting(main: Recording) -> Finding:
    tasks = sorted({task for task, _ in distances(main, "default") if task.startswith("deartifacting ")})
    measured = factor(main, "default", "cvpr2023", tasks)
    _check(measured[1] < 1 < measured[2], "deartifacting", measured)
    return Finding(
        "deartifacting",
        "Not so in deartifacting: over its five levels the two settings cannot be told apart.",
        f"distance {per_cent(*measured)}", *measured, "deartifacting",
        "more portraits, with which the interval of the factor excludes 1",
    )  # fmt: skip


def _diffusion(main: Recording) -> Finding:
    slight = [f"{task} {level}" for task in TASKS for level in ("XS", "S")]
    severe = [f"{task} {level}" for task in ("upsampling", "inpainting") for level in ("L", "XL")]
    measured, lost = (factor(main, "ddrm", "default", tasks) for tasks in (slight, severe))
    _check(measured[2] < 1 < lost[1], "diffusion", (measured, lost))
    return Finding(
        "diffusion",
        "A diffusion method with its published setting ends nearer to the truth where little is lost, and farther "
        "where much of a face has to be invented.",
        f"distance of DDRM against the setting of this book {per_cent(*measured)} at XS and S of the four tasks, "
        f"{per_cent(*lost)} in upsampling and inpainting at L and XL", *measured, "rivals",
        "a denoiser that was trained for longer, or tuned settings, with which one of the two has the other sign",
    )  # fmt: skip


def _tuned_rival(tuned: Recording) -> Finding:
    found = together(tuned, SEARCHING, "default", ["upsampling L"])["lbrgm"]
    ours, rows = ("default", "default@tuned"), ["denoising L", "deartifacting M"]
    measured, between = (factor(tuned, "ddrm@tuned", name, rows) for name in ours)
    _check(max(found[2], measured[2], between[2]) < 1, "tuned rival", (found, measured, between))
    return Finding(
        "tuned rival",
        "Task by task one fixed setting does not hold its own: in each of three single tasks a rival ends nearer "
        "to the truth.",
        f"distance of DDRM, tuned, against the setting of this book {per_cent(*measured)} in denoising L and "
        f"deartifacting M, against our setting tuned as well {per_cent(*between)}; of L-BRGM, as published, "
        f"{per_cent(*found)} in upsampling L", *measured, "one_setting",
        "the same tasks on other portraits, where one of these intervals holds 1",
    )  # fmt: skip


def _own_price(tuned: Recording) -> Finding:
    tasks = sorted({task for task, _ in distances(tuned, "default@tuned")})
    measured = factor(tuned, "default", "default@tuned", tasks)
    _check(measured[1] < 1 < measured[2], "own price", measured)
    return Finding(
        "own price",
        "That is not the price of one setting: ours is not found to end nearer when it is tuned for each task.",
        f"distance of the one setting against the tuned ones {per_cent(*measured)} over {len(tasks)} tasks",
        *measured, "one_setting",
        "studies on more portraits, whose settings end nearer on others, with an interval that excludes 1",
    )  # fmt: skip


def _lost_person(main: Recording) -> Finding:
    task = "upsampling XL"
    label = next(row["metric"] for row in main.scores if row["metric"].startswith("identity"))
    measured = main.score(task, "default", label)
    others = main.score("upsampling S", "default", label)
    _check(measured[2] < 0.5 < 0.9 < others[1], "person", (measured, others))
    return Finding(
        "person",
        "From 4 x 4 pixels the person is gone; from 32 x 32 a face network still sees the same person.",
        f"similarity {measured[0]:.2f} [{measured[1]:.2f}, {measured[2]:.2f}], "
        f"against {others[0]:.2f} [{others[1]:.2f}, {others[2]:.2f}]",
        *measured, "responsible",
        "restorations of 4 x 4 pixels that resemble their truth more than another portrait of the same colours does",
    )  # fmt: skip


def _single_phase(ablation: Recording) -> Finding:
    measured = together(ablation, PHASES, "default")
    _check(all(low > 1 for _, low, _ in measured.values()), "one phase", measured)
    name = min(PHASES, key=lambda each: measured[each][0])
    return Finding(
        "one phase",
        "One phase alone, whichever, ends farther from the truth than three with as many steps together.",
        f"distance {per_cent(*measured[name])} for {name}, the best of the three", *measured[name], "phases",
        "a rate for one phase alone that was found on other portraits and closes the gap",
        PHASES,
    )  # fmt: skip


def _which_phases(ablation: Recording) -> Finding:
    measured = together(ablation, TWO_PHASES, "default")
    one = together(ablation, PHASES, "default")
    worst = max(TWO_PHASES, key=lambda each: measured[each][0])
    _check(measured[worst][0] < min(value for value, _, _ in one.values()), "which phases", measured)
    _check(measured["W+-W++"][1] < 1 < measured["W+-W++"][2], "which phases", measured)
    return Finding(
        "which phases",
        "Two phases suffice on this prior, and which two hardly matters: without W no difference could be found.",
        f"distance {per_cent(*measured['W+-W++'])} without W, at most {per_cent(*measured[worst])} ({worst})",
        *measured["W+-W++"], "ablations",
        "a prior or a task for which leaving out one phase costs as much as leaving out two",
        TWO_PHASES,
    )  # fmt: skip


def _start(ablation: Recording) -> Finding:
    measured = factor(ablation, "default-random", "default")
    _check(measured[1] > 1, "start", measured)
    return Finding(
        "start",
        "The start matters: from a random code the search ends farther from the truth than from the mean.",
        f"distance {per_cent(*measured)}", *measured, "ablations",
        "a search from several random codes, chosen by its loss alone, that reaches what the mean reaches",
        ("default-random",),
    )  # fmt: skip


def _draws(ablation: Recording) -> Finding:
    measured = factor(ablation, "default-draws1", "default", [NOISE])
    _check(measured[1] > 1, "draws", measured)
    return Finding(
        "draws",
        "Where the damage is random, comparing with one draw a step instead of the energy score of two costs accuracy.",
        f"distance {per_cent(*measured)} in denoising at level M", *measured, "denoising",
        "one draw and twice as many steps, equal in time, that reaches the same distance",
        ("default-draws1",),
        (NOISE,),
    )  # fmt: skip


def _stopping(ablation: Recording) -> Finding:
    measured = factor(ablation, "default-nostop", "default")
    _check(measured[1] > 1, "early stopping", measured)
    return Finding(
        "early stopping",
        "Early stopping does more than save steps: without it the search ends farther from the truth.",
        f"distance {per_cent(*measured)}", *measured, "phases",
        "a loss with which more steps never hurt, such as one that averages over many draws",
        ("default-nostop",),
    )  # fmt: skip


def _identity_term(ablation: Recording) -> Finding:
    measured = factor(ablation, "default-noid", "default", FACES)
    _check(measured[1] < 1 < measured[2], "identity term", measured)
    return Finding(
        "identity term",
        "The identity term of the loss changes nothing that could be found.",
        f"distance {per_cent(*measured)} without it, on the three tasks of both ablations whose input it sees",
        *measured, "losses",
        "a face network that has seen photographs, on photographs",
        ("default-noid",),
        FACES,
    )  # fmt: skip


def _rates(ablation: Recording) -> Finding:
    measured = together(ablation, SINGLE_RATES, "default")
    worst = max(SINGLE_RATES, key=lambda each: abs(math.log(measured[each][0])))
    space, change = worst.removeprefix("default-").split("-lr")
    widest = max(abs(math.log(bound)) for row in measured.values() for bound in row[1:])
    _check(widest < math.log(1.2), "rates", measured)
    return Finding(
        "rates",
        "The setting need not be tuned finely: one phase's rate halved or doubled moves the result by little.",
        f"distance at most {per_cent(*measured[worst])}, the rate of {space} {RATES[change]}",
        *measured[worst], "ablations",
        "another prior on which one phase's rate, halved or doubled, moves the distance by more than a fifth",
    )  # fmt: skip
