"""The switches of exact and fast arithmetic: what they are set to, and that they are put back."""

import pytest
import torch

from rusr_core.arithmetic import (
    ArithmeticModeError,
    arithmetic,
    description,
    exact_arithmetic,
    flushed_denormals,
)

DENORMAL = 1e-40


def switches():
    backends = torch.backends
    return backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32, backends.cudnn.deterministic


def test_exact_arithmetic_has_no_tensorfloat_and_one_order():
    before = switches()
    with exact_arithmetic():
        assert switches() == (False, False, True)
        assert description() == {"tf32": False, "deterministic": True}
    assert switches() == before


def test_the_fast_mode_has_a_name():
    before = switches()
    with arithmetic("fast"):
        assert switches() == (True, True, False)
        assert description() == {"tf32": True, "deterministic": False}
        with exact_arithmetic():  # the inner one counts, then the outer one again
            assert switches() == (False, False, True)
        assert switches() == (True, True, False)
    assert switches() == before


def test_what_was_set_before_comes_back_after_an_error():
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    try:
        with pytest.raises(KeyError), arithmetic("fast"):
            raise KeyError
        assert torch.backends.cudnn.deterministic
    finally:
        torch.backends.cudnn.deterministic = before


def test_whoever_set_the_newer_switches_finds_them_again():
    conv, rnn = torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    if not hasattr(conv, "fp32_precision"):
        pytest.skip("this torch has only the older switches")
    before = conv.fp32_precision
    conv.fp32_precision = "ieee"  # and not of rnn: the older switch can no longer be read
    try:
        with arithmetic("fast"):
            assert conv.fp32_precision == "tf32"
        assert (conv.fp32_precision, rnn.fp32_precision) == ("ieee", before)
    finally:  # as torch starts, by the older switches, so that they can be read again
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = False, True


def test_an_unknown_mode():
    with pytest.raises(ArithmeticModeError, match="'quick': expected one of exact, fast"), arithmetic("quick"):
        pass


@pytest.mark.parametrize("before", [False, True])
def test_denormal_numbers_are_zero_only_inside(before):
    if not torch.set_flush_denormal(before):
        pytest.skip("this processor cannot flush denormal numbers")

    def is_zero():
        return (torch.full((8,), DENORMAL) * 1 == 0).all()

    try:
        with flushed_denormals():
            assert is_zero()
        assert is_zero() == before
    finally:
        torch.set_flush_denormal(False)
