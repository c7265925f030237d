"""The table of StyleGAN2's other forms in the manual, against the library."""

from pathlib import Path

import pytest
import torch

from rusr_core.generator import Generator, GeneratorConfig

MANUAL = Path(__file__).parents[1] / "book/manual.md"
FORMS = {
    "| as it is |": {},
    "| `c_dim=10` |": {"c_dim": 10},
    '| `architecture="resnet"` |': {"architecture": "resnet"},
}


@pytest.mark.parametrize("start", FORMS)
def test_a_form_of_stylegan2(start):
    with torch.device("meta"):  # shapes only, no memory
        network = Generator(GeneratorConfig(64, GeneratorConfig.published_channels(64, 4096), **FORMS[start]))
    blocks = [getattr(network.synthesis, name) for name in network.synthesis.names]
    colours = sum(block.torgb is not None for block in blocks)
    expected = [network.num_ws, colours, network.mapping.fc0.weight.shape[1]]
    (row,) = [line for line in MANUAL.read_text().splitlines() if line.startswith(start)]
    assert [int(cell) for cell in row.strip("| ").split("|")[2:]] == expected
