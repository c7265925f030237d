"""The findings follow from the recordings: recomputed another way, refused where a recording says something else."""

import csv
import dataclasses
import statistics

import pytest
from recorded_factors import ABLATION, AGAIN, MAIN, TUNED, changed, recomputed, tasks_of
from scipy import stats

from rusr_core.files import data_path
from rusr_core.presets import known_as
from rusr_core.sweeps import factors, findings, recordings
from rusr_core.sweeps.findings import FindingError
from rusr_core.sweeps.recordings import Recording
from rusr_core.tasks import TASKS


def parts() -> list[Recording]:
    return [recordings.load("portraits-128" + part) for part in findings.PARTS]


@pytest.fixture(scope="module")
def found():
    return findings.recorded(MAIN)


ROWS = ["denoising L", "deartifacting M"]  # in which a tuned rival is nearer
COMPARED = {
    "published": (MAIN, "default", "cvpr2023", 0.95, None),
    "deartifacting": (MAIN, "default", "cvpr2023", 0.95, [f"deartifacting {v}" for v in ("L", "M", "S", "XL", "XS")]),
    "diffusion": (MAIN, "ddrm", "default", 0.95, [f"{task} {v}" for task in TASKS for v in ("XS", "S")]),
    "tuned rival": (TUNED, "ddrm@tuned", "default", 0.95, ROWS),
    "own price": (TUNED, "default", "default@tuned", 0.95, [*ROWS, "upsampling+denoising+deartifacting M"]),
    "one phase": (ABLATION, "W+", "default", 1 - 0.05 / 3, None),
    "which phases": (ABLATION, "W+-W++", "default", 1 - 0.05 / 3, None),
    "start": (ABLATION, "default-random", "default", 0.95, None),
    "draws": (ABLATION, "default-draws1", "default", 0.95, ["denoising M"]),
    "early stopping": (ABLATION, "default-nostop", "default", 0.95, None),
    "identity term": (ABLATION, "default-noid", "default", 0.95, list(findings.FACES)),
    "rates": (ABLATION, "default-W++-lr2", "default", 1 - 0.05 / 6, None),
}


@pytest.mark.parametrize("key", COMPARED)
def test_a_finding_is_recomputed_from_the_file(found, key):
    name, method, reference, level, tasks = COMPARED[key]
    expected = recomputed(name, method, reference, tasks or tasks_of(name), level)
    assert (found[key].value, found[key].low, found[key].high) == pytest.approx(expected, rel=1e-9)
    assert factors.per_cent(*expected) in found[key].number


def test_the_rival_that_is_named_is_the_best_of_those_it_was_chosen_from(found):
    """Its interval is widened for the choice."""
    methods = findings.SEARCHING
    values = {m: recomputed(TUNED, m, "default", ["upsampling L"], 1 - 0.05 / len(methods)) for m in methods}
    assert min(values, key=lambda m: values[m][0]) == "lbrgm"
    assert factors.per_cent(*values["lbrgm"]) in found["tuned rival"].number
    between = factors.per_cent(*recomputed(TUNED, "ddrm@tuned", "default@tuned", ROWS, 0.95))
    assert f"against our setting tuned as well {between}" in found["tuned rival"].number
    assert found["rates"].number.endswith("the rate of W++ doubled")  # named in words, from the variant's name


def test_the_lost_person_is_recomputed_from_the_file(found):
    with data_path(f"results/{MAIN}/results.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if known_as(row["method"]) == "default"]
    values = [float(row["identity"]) for row in rows if row["task"] == "upsampling XL"]
    low, high = stats.t.interval(0.95, len(values) - 1, statistics.fmean(values), stats.sem(values))
    person = found["person"]
    assert (person.value, person.low, person.high) == pytest.approx((statistics.fmean(values), low, high), rel=1e-4)


def test_there_are_thirteen_and_each_says_what_would_refute_it(found):
    assert len(found) == 13 == len(COMPARED) + 1
    for each in found.values():
        assert each.claim.endswith(".") and len(each.refuted_by) > 20
        assert each.low <= each.value <= each.high


@pytest.mark.parametrize(
    "key, method, by",
    [
        ("published", "cvpr2023", 0.7),
        ("diffusion", "ddrm", 2.5),
        ("diffusion", "ddrm", 0.5),
        ("tuned rival", "ddrm@tuned", 2.0),
        ("tuned rival", "lbrgm", 1.6),
        ("own price", "default@tuned", 0.8),
        ("one phase", "W+", 0.8),
        ("which phases", "W+-W++", 1.3),
        ("start", "default-random", 0.7),
        ("draws", "default-draws1", 0.6),
        ("early stopping", "default-nostop", 0.8),
        ("identity term", "default-noid", 1.2),
        ("rates", "default-W-lr2", 1.3),
    ],
)
def test_another_recording_breaks_the_sentence(key, method, by):
    main, tuned, ablation, again = parts()
    if method in ("cvpr2023", "ddrm"):
        main = changed(main, method, by)
    elif key in ("tuned rival", "own price"):
        tuned = changed(tuned, method, by)
    else:
        ablation = changed(ablation, method, by)
    with pytest.raises(FindingError, match=f"does not support the finding '{key}'"):
        findings.findings(main, tuned, ablation, again)


MEASURED_AGAIN = ("one phase", "which phases", "start", "draws", "early stopping", "identity term")


def test_what_an_ablation_says_is_measured_again_with_other_networks(found):
    """All variants that a sentence is about, at once where there are several."""
    assert [key for key, each in found.items() if each.again] == list(MEASURED_AGAIN)
    for key in MEASURED_AGAIN:
        each = found[key]
        level = 1 - 0.05 / len(each.variants)
        expected = [recomputed(AGAIN, m, "default", each.tasks or tasks_of(AGAIN), level) for m in each.variants]
        assert list(each.again) == [pytest.approx(row, rel=1e-9) for row in expected]


@pytest.mark.parametrize(
    "key, method, by",
    [
        ("start", "default-random", 0.3),
        ("early stopping", "default-nostop", 0.3),
        ("one phase", "W", 0.3),
        ("one phase", "W++", 0.2),
        ("identity term", "default-noid", 3),
        ("which phases", "W+-W++", 0.3),
    ],
)
def test_a_second_recording_that_says_the_opposite_breaks_the_sentence(key, method, by):
    """As does a difference where the sentence says that none was found."""
    main, tuned, ablation, again = parts()
    with pytest.raises(FindingError, match=f"does not support the finding '{key}'"):
        findings.findings(main, tuned, ablation, changed(again, method, by))


def test_a_second_recording_may_be_missing_or_lack_tasks(found):
    main, tuned, ablation, again = parts()
    alone = findings.findings(main, tuned, ablation)
    assert [each.again for each in alone] == [()] * 13
    assert [each.number for each in alone] == [each.number for each in found.values()]
    units = tuple(unit for unit in again.units if unit["task"] == "upsampling S")
    scores = tuple(row for row in again.scores if row["task"] == "upsampling S")
    some = findings.findings(main, tuned, ablation, dataclasses.replace(again, units=units, scores=scores))
    measured = {each.key for each in some if each.again}
    assert measured == {*MEASURED_AGAIN} - {"draws", "identity term"}


@pytest.mark.parametrize("by", [0.7, 1.3])
def test_a_difference_in_deartifacting_breaks_its_sentence(by):
    """Whichever setting is nearer there, "cannot be told apart" falls; all other tasks stay as they are."""
    main, tuned, ablation, again = parts()
    units = tuple(
        unit | {"lpips": unit["lpips"] * by}
        if unit["method"] == "default" and unit["task"].startswith("deartifacting ")
        else unit
        for unit in main.units
    )
    with pytest.raises(FindingError, match="does not support the finding 'deartifacting'"):
        findings.findings(dataclasses.replace(main, units=units), tuned, ablation, again)


@pytest.mark.parametrize("task, similarity", [("upsampling XL", 0.8), ("upsampling S", 0.7)])
def test_a_person_who_is_kept_or_lost_elsewhere_breaks_the_sentence(task, similarity):
    main, tuned, ablation, again = parts()
    scores = tuple(
        row | {"value": similarity, "low": similarity - 0.05, "high": similarity + 0.05}
        if (row["task"], row["method"]) == (task, "default") and row["metric"].startswith("identity")
        else row
        for row in main.scores
    )
    assert scores != main.scores
    with pytest.raises(FindingError, match="does not support the finding 'person'"):
        findings.findings(dataclasses.replace(main, scores=scores), tuned, ablation, again)


def test_the_conclusions_in_words_hold():
    """What the ends of the chapters Benchmark and Ablations say without a number."""
    main, ablation = recordings.load(MAIN), recordings.load(ABLATION)
    ratio = {t: factors.factor(main, "default", "cvpr2023", [t])[0] for t in tasks_of(MAIN)}
    assert min(ratio, key=ratio.get) == "denoising XL"
    for task in tasks_of(MAIN):  # shrunk, then noise or JPEG: far from the truth
        if task.startswith("upsampling+denoising") or task.startswith("upsampling+deartifacting"):
            assert main.score(task, "default", "LPIPS-portraits")[1] > 1
    assert factors.factor(ablation, "default-sgd", "default")[1] > 2
    _, low, high = factors.factor(ablation, "default-ngd", "default")
    assert low < 1 < high
    for task in ("denoising M", "inpainting M", "deartifacting M"):
        assert factors.factor(ablation, "default-oracle", "default", [task])[2] < 1
    for task in ("upsampling M", "upsampling+denoising+deartifacting+inpainting M"):
        assert factors.factor(ablation, "default-oracle", "default", [task])[1] > 1
    assert factors.factor(ablation, "default-nostop", "default", ["denoising M"])[1] > 1
    assert factors.factor(main, "default", "cvpr2023", ["upsampling XS"])[2] < 1
