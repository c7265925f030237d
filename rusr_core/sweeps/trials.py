"""A search for settings that survives being killed: Optuna's proposals and a study that holds everything in SQLite.

Every score of a portrait is stored as soon as it is known. Trial number n is proposed by a TPE sampler (Bergstra et
al., "Algorithms for Hyper-Parameter Optimization", NeurIPS 2011, as Optuna implements it) whose random numbers follow
from the seed, the study's name and n alone, given the trials before it. So a study that was killed and continued holds
the trials of an undisturbed one: a trial is entered with all its settings in one transaction, and one that was under
way is taken up with the scores that it has.
"""

import json
import math
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np

from rusr_core.baselines.method import Choice, Range, Real, Whole
from rusr_core.errors import RusrError
from rusr_core.sweeps.storage import differences

STARTUP = 8  # trials that are drawn at random, the published settings aside, before the sampler models anything
LEVEL = 0.3  # p of the test that ends a trial early: two of two scores behind have 0.25
SMALLEST = 1e-6  # LPIPS that counts as none, in a logarithm
BUSY = 60.0  # s to wait for a database that another process writes


class TuningError(RusrError):
    """A tuning that cannot be run as it is described, or continued as it was begun."""


def optuna() -> ModuleType:
    """Optuna, which the library does not need otherwise. TuningError where it is missing."""
    try:
        import optuna as found
    except ImportError as error:
        raise TuningError("rusr tune needs Optuna: pip install 'rusr[tune]'") from error
    found.logging.set_verbosity(found.logging.WARNING)
    return found


def key(settings: Mapping[str, object]) -> str:
    """Settings as one word, the same for equal ones."""
    return json.dumps(dict(settings), sort_keys=True)


def database(path: Path) -> object:
    """The SQLite database of a method's studies, made at first need. TuningError for a file that is none."""
    library = optuna()
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"connect_args": {"timeout": BUSY}}
    with usable(path, RuntimeError):  # of a newer Optuna
        return library.storages.RDBStorage(f"sqlite:///{path.absolute()}", engine_kwargs=options)


@contextmanager
def usable(path: Path, *more: type[Exception]) -> Iterator[None]:
    """TuningError for whatever a database raises that is damaged, locked, read-only or full."""
    storage_error = optuna().exceptions.StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError  # comes with Optuna

    try:
        yield
    except (SQLAlchemyError, storage_error, *more) as error:
        reason = str(error.__cause__ or error).splitlines()[0]
        raise TuningError(f"{path}: cannot be used ({reason}); expected the studies that rusr tune keeps") from error


def names(storage: object) -> list[str]:
    """The studies that a database holds."""
    return optuna().get_all_study_names(storage)


class Trials:
    """The trials of one study: the published settings, those that are `given`, then what the sampler proposes.

    Only one process may hold a study (see `tuning.tune`). Scores have names; smaller ones are better.
    """

    def __init__(self, storage: object, name: str, space: Mapping[str, Range], first: list[dict], seed: int):
        self.storage = storage  # see `database`
        self.name, self.seed = name, seed
        self._open()
        self.space = {word: _distribution(values) for word, values in space.items()}
        self.first = [self._as_stored(settings) for settings in first]

    def _open(self) -> None:
        """The study that is there, or a new one."""
        self.study = optuna().create_study(storage=self.storage, study_name=self.name, load_if_exists=True)
        self.id = self.storage.get_study_id_from_name(self.name)

    def agree(self, configuration: dict, accepted: tuple[str, ...] = ()) -> None:
        """Fix what the trials rest on, or raise TuningError naming what differs from when they were begun.

        What is under the names `accepted` may differ; both values are kept then, under "accepted_changes". A study
        without a score, as one of a method that failed at once and was mended, begins anew.
        """
        wanted, known = json.loads(json.dumps(configuration)), self.study.user_attrs.get("configuration")
        if known not in (None, wanted) and not self.scores():
            optuna().delete_study(storage=self.storage, study_name=self.name)
            self._open()
            known = None
        if known is not None:
            changed = {name: [known.get(name), wanted[name]] for name in accepted if known.get(name) != wanted[name]}
            wrong = list(differences({**known, **{name: wanted[name] for name in changed}}, wanted))
            if wrong:
                raise TuningError(f"study {self.name!r} was begun with another configuration: {'; '.join(wrong[:3])}")
            if not changed:
                return
            before = self.study.user_attrs.get("accepted_changes", [])
            self.study.set_user_attr("accepted_changes", [*before, changed])
        self.study.set_user_attr("configuration", wanted)

    def configuration(self) -> dict:
        """What `agree` has fixed; empty if the process was killed before."""
        return self.study.user_attrs.get("configuration", {})

    def accepted_changes(self) -> list[dict]:
        """Versions of the code that have changed while the trials were collected."""
        return self.study.user_attrs.get("accepted_changes", [])

    def finished(self) -> list[tuple[dict, float]]:
        """Settings and values of the trials that are over, in their order."""
        return [(trial.params, trial.value) for trial in self._complete()]

    def untried(self) -> list[dict]:
        """Those of the first settings that no finished trial has."""
        tried = {key(settings) for settings, _ in self.finished()}
        return [settings for settings in self.first if key(settings) not in tried]

    def current(self) -> tuple[dict, dict[str, list]]:
        """The trial under way, or the next: its settings, and the scores that it has by name."""
        running = self.study.get_trials(states=self._states("RUNNING"))
        if not running:
            create = optuna().trial.create_trial
            state = optuna().trial.TrialState.RUNNING
            self.study.add_trial(create(state=state, params=self._proposal(), distributions=self.space))
            running = self.study.get_trials(states=self._states("RUNNING"))
        return running[0].params, running[0].user_attrs

    def note(self, scores: Mapping[str, list]) -> None:
        """Store scores of the trial under way."""
        trial = self.storage.get_trial_id_from_study_id_trial_number(self.id, self._number())
        for name, score in scores.items():
            self.storage.set_trial_user_attr(trial, name, score)

    def looks(self, settings: dict, parts: list) -> list[list]:
        """The parts of the trial under way up to each look at it, see `behind`: two of them, four and so on, and all.

        Their order is the trial's own. The first settings are seen with all at once.
        """
        if key(settings) in map(key, self.first):
            return [parts]
        words = [self.seed, zlib.crc32(self.name.encode()), len(self.finished()), 1]
        parts = [parts[i] for i in np.random.default_rng(words).permutation(len(parts))]
        sizes = [2**k for k in range(1, len(parts).bit_length()) if 2**k < len(parts)]
        return [parts[:size] for size in (*sizes, len(parts))]

    def behind(self, scores: Mapping[str, list]) -> float | None:
        """The value to expect of the trial under way if these scores, some of its own, say that it ends behind the best
        one; None if they do not.

        Optuna's `WilcoxonPruner` decides, from the logarithms of both trials' scores of the same names, at `LEVEL`. The
        value is that of the best trial times the geometric mean of the ratios. Infinite where one of the scores is.
        """
        best = min(self._complete(), key=lambda trial: trial.value, default=None)
        if not all(math.isfinite(score[0]) for score in scores.values()):
            return math.inf
        if best is None or not math.isfinite(best.value):
            return None
        rows = [[math.log(max(each[name][0], SMALLEST)) for name in scores] for each in (scores, best.user_attrs)]
        library = optuna()
        create, states = library.trial.create_trial, library.trial.TrialState
        mine, theirs = (dict(enumerate(row)) for row in rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", library.exceptions.ExperimentalWarning)
            memory = library.create_study(pruner=library.pruners.WilcoxonPruner(p_threshold=LEVEL))
        memory.add_trial(create(state=states.COMPLETE, value=sum(rows[1]) / len(scores), intermediate_values=theirs))
        if not memory.pruner.prune(memory, create(state=states.RUNNING, intermediate_values=mine)):
            return None
        return best.value * math.exp(sum(rows[0]) / len(scores) - sum(rows[1]) / len(scores))

    def ended_early(self) -> int:
        """How many finished trials have fewer scores than others: those that `behind` ended."""
        counts = [len(trial.user_attrs) for trial in self._complete()]
        return sum(count < max(counts) for count in counts)

    def tell(self, value: float) -> None:
        """End the trial under way."""
        self.study.tell(self._number(), value)

    def scores(self) -> dict[tuple[str, str], list]:
        """All scores that are known, by (settings, name)."""
        found = {}
        for trial in self.study.get_trials(deepcopy=False):
            found |= {(key(trial.params), name): score for name, score in trial.user_attrs.items()}
        return found

    def best(self) -> tuple[dict, float] | None:
        """Settings and value of the best finished trial, the earliest of equal ones; None if none gave an image."""
        good = [trial for trial in self.finished() if math.isfinite(trial[1])]
        return min(good, key=lambda each: each[1]) if good else None

    def _proposal(self) -> dict:
        """The settings of the next trial."""
        if left := self.untried():
            return left[0]
        done = self._complete()
        word = np.random.SeedSequence([self.seed, zlib.crc32(self.name.encode()), len(done)]).generate_state(1)[0]
        library = optuna()
        sampler = library.samplers.TPESampler(seed=int(word), n_startup_trials=STARTUP + len(self.first))
        memory = library.create_study(sampler=sampler)
        memory.add_trials(done)
        return memory.ask(self.space).params

    def _complete(self) -> list:
        return self.study.get_trials(states=self._states("COMPLETE"))

    def _as_stored(self, settings: dict) -> dict:
        """Settings as the database gives them back."""
        return {word: of.to_external_repr(of.to_internal_repr(settings[word])) for word, of in self.space.items()}

    def _number(self) -> int:
        return self.study.get_trials(deepcopy=False, states=self._states("RUNNING"))[0].number

    @staticmethod
    def _states(name: str) -> tuple:
        return (optuna().trial.TrialState[name],)


def _distribution(values: Range) -> object:
    """Optuna's word for a range."""
    distributions = optuna().distributions
    if isinstance(values, Choice):
        return distributions.CategoricalDistribution(values.values)
    kind = {Real: distributions.FloatDistribution, Whole: distributions.IntDistribution}[type(values)]
    return kind(values.low, values.high, log=values.log)
