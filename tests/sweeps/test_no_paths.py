"""What reads or writes a folder of results says so where something else is given in place of a path."""

from functools import partial

import pytest

from rusr_core.errors import RusrError
from rusr_core.photos import records
from rusr_core.sweeps import ImageFolder, SweepConfig, notebooks, paired, recordings, results, rivals, storage

READERS = {
    "results.read": lambda folder: list(results.read(folder)),
    "results.rows": results.rows,
    "results.reports": results.reports,
    "results.write_tables": results.write_tables,
    "paired.compare": partial(paired.compare, against="default"),
    "rivals.Comparison.of_folder": rivals.Comparison.of_folder,
    "recordings.load": recordings.load,
    "storage.read_record": storage.read_record,
    "storage.not_applicable": storage.not_applicable,
    "records.read_record": records.read_record,
    "notebooks.parameters": notebooks.parameters,
    "notebooks.grid": partial(notebooks.grid, folder="out", axes={}),
    "notebooks.execute": partial(notebooks.execute, output="out.ipynb", values={}),
    "ImageFolder": ImageFolder,
    "SweepConfig": partial(SweepConfig, methods=()),
}


@pytest.mark.parametrize("value", [None, 3, b"folder"], ids=repr)
@pytest.mark.parametrize("name", READERS)
def test_what_is_no_path_is_one_line(name, value):
    with pytest.raises(RusrError, match=f"a file is {value!r}: expected its path"):
        READERS[name](value)
