"""Time and memory of `rusr zoo convert` on a checkpoint of FFHQ's size with random weights.

python benchmarks/convert.py [--protocol 3]

Writes a network pickle in NVIDIA's layout (G and G_ema of 30.4 M parameters, D left out) into a temporary
folder and converts it in a process of its own.

Measured 2026-11-23, 2 CPU cores shared with other work (load 5 to 6), torch 2.12, Python 3.11. Importing the library
takes 0.49 GB of each peak.

| protocol | file | conversion | peak memory |
|---|---|---|---|
| 2 | 383 MB | 17.9 s | 1.44 GB |
| 3 | 254 MB | 13.1 s | 0.95 GB |
| 4 | 254 MB | 23.4 s | 0.95 GB |
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from checkpoint_writers import write_nvidia  # noqa: E402

from rusr_core.generator import Generator, GeneratorConfig  # noqa: E402

LIMITS = {"seconds": 60.0, "peak_GB": 1.5}
CHILD = """
import json, re, sys, time
start = time.perf_counter()
from rusr_core import commands
status = commands.main(["zoo", "convert", sys.argv[1], sys.argv[2]])
peak = int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 2**20  # of this process alone
print(json.dumps({"status": status, "seconds": time.perf_counter() - start, "peak_GB": peak}))
"""


def random_ffhq() -> Generator:
    """A generator with FFHQ's 1024 px configuration and seeded random weights."""
    config = GeneratorConfig(resolution=1024, channels=GeneratorConfig.published_channels(1024, 32768))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Generator(config).eval().requires_grad_(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--protocol", type=int, default=3, choices=(2, 3, 4))
    protocol = parser.parse_args().protocol
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "random.pkl", Path(folder) / "random.safetensors"
        write_nvidia(random_ffhq(), source, protocol, channels_last=True)
        print(f"protocol {protocol}: {source.stat().st_size / 1e6:.0f} MB to convert")
        started = time.perf_counter()
        command = [sys.executable, "-c", CHILD, str(source), str(target)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"the conversion ended with {done.returncode}, see above")
        result = json.loads(done.stdout.splitlines()[-1])
        print(f"{target.stat().st_size / 1e6:.0f} MB written, {time.perf_counter() - started:.1f} s with start-up")
        print(f"conversion {result['seconds']:.1f} s, peak memory {result['peak_GB']:.2f} GB; limits {LIMITS}")
        within = all(result[name] < limit for name, limit in LIMITS.items())
    sys.exit(0 if within and result["status"] == 0 else 1)


if __name__ == "__main__":
    main()
