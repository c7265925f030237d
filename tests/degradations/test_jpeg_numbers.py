"""The numbers that a JPEG stores."""

import math

import pytest
import torch

import rusr_core as rusr
from rusr_core.degradations import JPEG, DegradationError
from rusr_core.degradations.jpeg_numbers import agreement, stored_numbers


def test_a_cosine_has_one_number():
    """Of amplitude 40 along one axis: the coefficient is 40 * 8 / sqrt(2), 226, and the table's entry is 28. Three half
    periods fill a block, so that the next one begins with the other sign."""
    wave = 128 + 40 * torch.cos((2 * torch.arange(16.0) + 1) * 3 * math.pi / 16)
    x = (wave / 255)[:, None].expand(1, 3, 16, 24)
    found = stored_numbers(x, 25)
    assert found.shape == (1, 2, 3, 8, 8)
    assert found[0, :, :, 3, 0].tolist() == [[8] * 3, [-8] * 3]
    assert found.count_nonzero() == 6


@pytest.mark.parametrize("quality", [6, 18, 50, tuple(range(9, 73))])
def test_a_decoded_picture_gives_its_files_numbers_back(quality):
    x = rusr.portraits(range(4), 128)
    numbers = stored_numbers(x, quality)
    assert numbers.shape == (4, 16, 16, 8, 8)
    of_all, where_stored = agreement(numbers, stored_numbers(JPEG(quality).degrade(x), quality))
    assert of_all > 0.999 and where_stored > 0.997


def test_agreement_by_hand():
    a = torch.tensor([0.0, 0, 0, 0, 1, 2, 3, 0])
    b = torch.tensor([0.0, 0, 0, 0, 1, 2, -3, 1])
    assert agreement(a, b) == (0.75, 0.5)
    assert agreement(a, a) == (1, 1)
    of_all, where_stored = agreement(a[:4], b[:4])
    assert of_all == 1 and math.isnan(where_stored)


def test_what_has_no_blocks_is_refused():
    with pytest.raises(DegradationError, match="sides must be multiples of 8, got '12 x 16'"):
        stored_numbers(torch.zeros(1, 3, 12, 16), 50)
    with pytest.raises(DegradationError, match="quality must be"):
        stored_numbers(torch.zeros(1, 3, 16, 16), 0)
    with pytest.raises(DegradationError, match="of one size"):
        agreement(torch.zeros(2), torch.zeros(3))
