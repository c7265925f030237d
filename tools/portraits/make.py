"""Remake the embedded prior from nothing: training set, feature nets, generator, test portraits, checksums.

    python -m tools.portraits.make --work FOLDER [--processes 2] [--install]
    python -m tools.portraits.make --work FOLDER --device cuda

Hours on a CPU; on a large GPU, which gets more data and longer schedules, about twenty minutes by the speeds in the
model card. Training resumes where it stopped. Without --install the results stay in FOLDER, beside what is shipped, to
be compared with it first (evaluate.py).
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from tools.portraits import DATA

ROOT = DATA.parents[1]
TRAINING = "tools.portraits.training"
GPU = {  # options of each script; from a generator that exists, `--prior FILE --images 0 0 75000 150000` is enough
    "render": "--identities 16000 --views 10 --device cuda",
    "features": "--images 3300000 --batch 256 --triplets 4000 --device cuda",
    "generator": "--images 300000 250000 300000 200000 --batch 64 --last-rate 2e-4 --ema-images 20000 --device cuda",
}
WEIGHTS = ("generator.safetensors", "features_a.safetensors", "features_b.safetensors")


def run(*command: object) -> None:
    """Run one of this package's programs; stop with its status if it fails."""
    print("$", *command, flush=True)
    status = subprocess.run([str(part) for part in command], check=False, cwd=ROOT).returncode
    if status:
        raise SystemExit(status)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the training set and checkpoints")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--install", action="store_true", help="replace what is shipped by the results")
    args = parser.parse_args()
    work = args.work.resolve()
    python, data = (sys.executable, "-m"), work / "data"
    more = {name: options.split() if args.device == "cuda" else [] for name, options in GPU.items()}
    run(*python, f"{TRAINING}.render_training_set", data, "--processes", args.processes, *more["render"])
    for net in ("a", "b"):
        run(*python, f"{TRAINING}.train_features", "--data", data, "--out", work, "--net", net, *more["features"])
    launcher = ("torch.distributed.run", "--standalone", f"--nproc-per-node={args.processes}", "-m")
    start = (*python, *(launcher if args.device == "cpu" else ()), f"{TRAINING}.train_generator")
    weights = work / "features_a.safetensors"
    run(*start, "--data", data, "--out", work, "--features", weights, *more["generator"])
    run(*python, "tools.portraits.make_test", work / "test")
    if args.install:
        for name in WEIGHTS:
            shutil.copy(work / name, DATA / name)
        shutil.copytree(work / "test", DATA / "test", dirs_exist_ok=True)
        run(*python, "tools.portraits.check", "--write")


if __name__ == "__main__":
    main()
