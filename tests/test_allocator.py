"""What freed memory costs: page faults, which glibc's defaults cause in every step."""

import subprocess
import sys

import pytest

from rusr_core.allocator import keep_freed_memory

MEASURE = """
import resource, sys, torch
from rusr_core.allocator import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    sys.exit("no glibc")
def work():
    held = [torch.ones(n) for n in range(2_000_000, 2_400_000, 40_000)]  # 80 MB in blocks of about 8
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def test_freed_memory_is_taken_again_without_page_faults():
    if not keep_freed_memory():
        pytest.skip("the C library has no mallopt")
    faults = {}
    for how in ("default", "kept"):
        done = subprocess.run([sys.executable, "-c", MEASURE, how], capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults["kept"] < faults["default"] / 10
