"""Remake the embedded prior from nothing: training set, feature nets, generator, test portraits, checksums.

    python data/portraits/make.py --work FOLDER [--processes 2] [--install]
    python data/portraits/make.py --work FOLDER --device cuda

Hours on a CPU; on a large GPU, which gets more data and longer schedules, about twenty minutes by the speeds in the
model card. Training resumes where it stopped. Without --install the results stay in FOLDER, beside what is shipped, to
be compared with it first (evaluate.py).
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
GPU = {  # options of each script; from a generator that exists, `--prior FILE --images 0 0 75000 150000` is enough
    "render": "--identities 16000 --views 10 --device cuda",
    "features": "--images 3300000 --batch 256 --triplets 4000 --device cuda",
    "generator": "--images 300000 250000 300000 200000 --batch 64 --last-rate 2e-4 --ema-images 20000 --device cuda",
}
WEIGHTS = ("generator.safetensors", "features_a.safetensors", "features_b.safetensors")


def run(*command: object) -> None:
    """Run one of this folder's scripts; stop with its status if it fails."""
    print("$", *command, flush=True)
    status = subprocess.run([str(part) for part in command], check=False).returncode
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
    python, data = sys.executable, args.work / "data"
    more = {name: options.split() if args.device == "cuda" else [] for name, options in GPU.items()}
    run(python, FOLDER / "render_training_set.py", data, "--processes", args.processes, *more["render"])
    for net in ("a", "b"):
        run(python, FOLDER / "train_features.py", "--data", data, "--out", args.work, "--net", net, *more["features"])
    launcher = ("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={args.processes}")
    start = (python, *(launcher if args.device == "cpu" else ()), FOLDER / "train_generator.py")
    weights = args.work / "features_a.safetensors"
    run(*start, "--data", data, "--out", args.work, "--features", weights, *more["generator"])
    run(python, FOLDER / "make_test.py", args.work / "test")
    if args.install:
        for name in WEIGHTS:
            shutil.copy(args.work / name, FOLDER / name)
        shutil.copytree(args.work / "test", FOLDER / "test", dirs_exist_ok=True)
        run(python, FOLDER / "check.py", "--write")


if __name__ == "__main__":
    main()
