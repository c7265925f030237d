"""Random numbers that one generator fixes, and global generators that stay as they were."""

import random

import numpy as np
import pytest
import torch
from conftest import seeded

from rusr_core.randomness import (
    RandomnessError,
    draws_globally,
    generators,
    normal,
    poisson,
    seeded_globals,
    seeds,
    uniform,
)

CPU = torch.device("cpu")


def test_random_numbers_are_what_torch_draws():
    like = torch.empty(0, dtype=torch.float64)
    assert torch.equal(normal((3, 5), seeded(4), like), torch.randn(3, 5, generator=seeded(4)).double())
    assert torch.equal(uniform((3, 5), seeded(4), like), torch.rand(3, 5, generator=seeded(4)).double())
    rate = torch.full((2, 10), 4.0)
    assert torch.equal(poisson(rate, seeded(4)), torch.poisson(rate, generator=seeded(4)))
    assert [g.initial_seed() for g in generators(4, 2, start=1)] == seeds(4, 3)[1:]


@pytest.mark.parametrize("draw", [normal, uniform, lambda shape, g, like: poisson(torch.ones(shape), g)])
def test_without_one_generator_nothing_is_drawn(draw):
    for wrong, message in ((None, "got None; expected torch.Generator"), ([seeded()], "expected one torch.Generator")):
        with pytest.raises(RandomnessError, match=message):
            draw((2, 3), wrong, torch.empty(0))


def everything() -> list[float]:
    return [float(torch.rand(())), float(np.random.rand()), random.random()]


def test_global_generators_are_seeded_and_put_back():
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    draws = []
    for seed in (1, 1, 2):
        with seeded_globals(seed, CPU):
            draws.append(everything())
    assert draws[0] == draws[1] and all(a != b for a, b in zip(draws[0], draws[2], strict=True))
    with pytest.raises(ZeroDivisionError), seeded_globals(3, CPU):
        everything()
        raise ZeroDivisionError
    after = torch.get_rng_state(), np.random.get_state()[1], random.getstate()
    assert torch.equal(before[0], after[0]) and (before[1] == after[1]).all() and before[2] == after[2]


@pytest.mark.parametrize(
    "call, found",
    [
        (lambda: torch.randn(3), True),
        (np.random.rand, True),
        (random.random, True),
        (lambda: torch.randn(3, generator=seeded()), False),
        (lambda: np.random.default_rng(0).random(), False),
    ],
)
def test_who_draws_globally_is_found(call, found):
    assert draws_globally(call, CPU) is found
