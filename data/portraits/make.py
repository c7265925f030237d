"""Remake the embedded prior from nothing: training set, feature nets, generator, test portraits, checksums.

    python data/portraits/make.py --work FOLDER [--processes 2] [--install]

Hours on a CPU (the model card says how many); every step resumes where it stopped. Without --install the results
stay in FOLDER, beside what is shipped, to be compared with it first (evaluate.py).
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
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
    parser.add_argument("--install", action="store_true", help="replace what is shipped by the results")
    args = parser.parse_args()
    python, data = sys.executable, args.work / "data"
    run(python, FOLDER / "render_training_set.py", data, "--processes", args.processes)
    for net in ("a", "b"):
        run(python, FOLDER / "train_features.py", "--data", data, "--out", args.work, "--net", net)
    torchrun = (python, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={args.processes}")
    weights = args.work / "features_a.safetensors"
    run(*torchrun, FOLDER / "train_generator.py", "--data", data, "--out", args.work, "--features", weights)
    run(python, FOLDER / "make_test.py", args.work / "test")
    if args.install:
        for name in WEIGHTS:
            shutil.copy(args.work / name, FOLDER / name)
        shutil.copytree(args.work / "test", FOLDER / "test", dirs_exist_ok=True)
        run(python, FOLDER / "check.py", "--write")


if __name__ == "__main__":
    main()
