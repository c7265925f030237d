"""The contract of the house: every import of the library runs down, and one that does not is noticed. `make lint` asks
the linter itself; here its contract is applied to the library's graph of imports, and to graphs that break it."""

from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from importlinter.api import read_configuration
from importlinter.contracts.layers import LayersContract
from importlinter.domain.contract import ContractCheck

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("rusr_core", cache_dir=None)


def checked(graph: grimp.ImportGraph) -> ContractCheck:
    """What the contract in pyproject.toml says of a graph."""
    options = read_configuration(str(ROOT / "pyproject.toml"))
    (contract,) = options["contracts_options"]
    assert contract["type"] == "layers"
    return LayersContract(contract["name"], options["session_options"], contract).check(graph, verbose=False)


def test_every_import_runs_down(graph):
    found = checked(graph)
    assert found.kept, found.metadata
    assert len(graph.modules) > 150


@pytest.mark.parametrize(
    "importer, imported", [("images", "restore"), ("presets", "priors.zoo"), ("files", "commands.main")]
)
def test_an_import_that_runs_up_is_seen(graph, importer, imported):
    turned = deepcopy(graph)
    turned.add_import(importer=f"rusr_core.{importer}", imported=f"rusr_core.{imported}")
    found = checked(turned)
    assert not found.kept and f"rusr_core.{importer}" in str(found.metadata)


def test_a_new_module_must_be_given_its_place(graph):
    grown = deepcopy(graph)
    grown.add_module("rusr_core.shed")
    found = checked(grown)
    assert not found.kept and "shed" in str(found.metadata)
