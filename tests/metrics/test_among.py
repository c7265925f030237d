"""Where a truth lies among samples, on samples whose spread is known."""

import pytest
import torch

from rusr_core.metrics.checks import MetricError
from rusr_core.metrics.samples import among

S, R = 4, 64


def around_grey(num: int, *shape: int, seed: int) -> torch.Tensor:
    noise = torch.randn(num, *shape, 3, R, R, generator=torch.Generator().manual_seed(seed))
    return 0.5 + 0.05 * noise


def test_a_truth_like_the_samples_is_among_them_as_often_as_the_next_one_would_be():
    found = among(around_grey(2, S, seed=0), around_grey(2, seed=1)).scores()
    assert found["inside"].tolist() == pytest.approx([(S - 1) / (S + 1)] * 2, abs=0.02)
    assert found["factor"].tolist() == pytest.approx([1, 1], abs=0.03)


def test_each_image_and_each_part_has_its_own_numbers():
    samples, truth = around_grey(2, S, seed=0), around_grey(2, seed=1)
    truth[1] += 0.3
    part = torch.ones(1, 1, R, R)
    part[..., : R // 2, :] = 0
    truth[0, :, : R // 2] += 0.3
    found, below = (among(samples, truth).scores(each) for each in (1.0, part))
    assert found["inside"][0].item() == pytest.approx(0.3, abs=0.02) and found["inside"][1] < 0.01
    assert below["inside"][0].item() == pytest.approx(0.6, abs=0.02) and below["factor"][1] > 4


def test_one_sample_has_no_spread():
    for samples in (torch.zeros(1, 1, 3, 8, 8), torch.zeros(2, 3, 8, 8), [1]):
        with pytest.raises(MetricError, match=r"expected \[N, S, 3, R, R\] with two samples or more"):
            among(samples, torch.zeros(1, 3, 8, 8))
    with pytest.raises(MetricError, match="samples: images of shapes"):
        among(torch.zeros(1, 2, 3, 8, 8), torch.zeros(1, 3, 4, 4))
