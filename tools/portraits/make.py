"""Remake the embedded prior: training set, feature nets, generator, test portraits, checksums.

    python -m tools.portraits.make --work FOLDER [--processes 2] [--install]
    python -m tools.portraits.make --work FOLDER --device cuda
    python -m tools.portraits.make --work FOLDER --device cuda --continue-shipped [--seconds 300]
    python -m tools.portraits.make --work FOLDER --device cuda --sharpen-shipped --seconds 300

Every step resumes where it stopped, so that the command can be given again after a time limit. `--continue-shipped`
starts from the shipped weights instead of from nothing: the nets keep what they know of people and learn to judge, the
generator's noise maps are drawn anew and its training continues. On a GPU all three then train side by side.
`--sharpen-shipped` gives the shipped generator more of the adversarial stage and leaves the nets alone. `--seconds` is
for a machine that is lent: the last stage of each training is made as long as that many seconds of its program allow.
Hours on a CPU. Without `--install` the results stay in FOLDER, beside what is shipped, to be compared with it first
(evaluate.py, judges.py).
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError, processes
from rusr_core.files import check_writable, whole_folder, write_atomic
from rusr_core.limits import check_positive
from tools.portraits import DATA

ROOT = DATA.parents[1]
TRAINING = "tools.portraits.training"
GPU = {  # options of each program
    "render": "--identities 12000 --views 4 --device cuda",
    "people": "--images 3300000 --batch 256 --device cuda",
    "judge": "--steps 1000 --batch 64 --bank 800 --device cuda",
    "generator": "--images 300000 250000 300000 200000 --batch 64 --last-rate 2e-4 --ema-images 20000 --device cuda",
    "continue": "--images 40000 60000 130000 100000 --batch 64 --rate 1e-2 --last-rate 2e-4 --ema-images 20000 "
    "--device cuda",
    "sharpen": "--images 0 0 0 150000 --batch 64 --last-rate 2e-4 --ema-images 20000 --device cuda",
}
CPU = {
    "continue": "--images 12000 16000 24000 5008 --rate 8e-3 --ema-images 2000",
    "sharpen": "--images 0 0 0 16000 --last-rate 2e-4 --ema-images 3000",
}
BALANCE = {"a": "0.4", "b": "0.12"}  # a search needs many channels of net A; net B only judges
WEIGHTS = ("generator.safetensors", "features_a.safetensors", "features_b.safetensors")


def run(*programs: Sequence[object]) -> None:
    """Run modules as programs side by side, in the repository's root; stop with their status if one of them fails."""
    started = []
    for program in programs:
        print("$ python -m", *program, flush=True)
        started.append(subprocess.Popen([sys.executable, "-m", *(str(part) for part in program)], cwd=ROOT))
    status = max(abs(process.wait()) for process in started)
    if status:
        raise SystemExit(status)


def net_programs(work: Path, options: dict[str, list[str]], shipped: bool) -> dict[str, list[Sequence[object]]]:
    """For nets A and B: first to know people, unless that is known, then to judge pictures."""
    out = {}
    for net in ("a", "b"):
        start = DATA / f"features_{net}.safetensors" if shipped else work / f"people_{net}.safetensors"
        common = ("--data", work / "data", "--out", work, "--net", net)
        people = [] if shipped else [(f"{TRAINING}.train_features", *common, *options["people"])]
        words = ("--start-from", start, "--balance", BALANCE[net])
        judge = (f"{TRAINING}.tune_features", *common, *words, *options["judge"])
        out[net] = [*people, judge]
    return out


def generator_program(work: Path, options: dict[str, list[str]], how: str, processes: int) -> Sequence[object]:
    """The generator, in several processes where that is asked for (on a CPU); it learns by the net A that is there.

    `how` is the name of its options: "generator" from nothing, "continue" or "sharpen" from what is shipped.
    """
    program = f"{TRAINING}.train_generator"
    features = (work if how == "generator" else DATA) / "features_a.safetensors"
    launcher = ("torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m", program)
    start = () if how == "generator" else ("--prior", DATA / "generator.safetensors")
    noise = ("--forget-noise",) if how == "continue" else ()  # the maps of the first generators were trained
    common = ("--data", work / "data", "--out", work, "--features", features)
    return *(launcher if processes > 1 else (program,)), *common, *start, *noise, *options[how]


def install(work: Path) -> None:
    """Put the results in the place of what is shipped: each network, and the folder of portraits, appears whole."""
    for name in WEIGHTS:
        if (work / name).exists():
            write_atomic(DATA / name, (work / name).read_bytes())
    with whole_folder(DATA / "test") as made:
        for path in sorted((work / "test").iterdir()):
            write_atomic(made / path.name, path.read_bytes())


def command_line() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the training set and checkpoints")
    parser.add_argument("--processes", type=processes, default=2, help="on a CPU")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    start = parser.add_mutually_exclusive_group()
    start.add_argument("--continue-shipped", action="store_true", help="start from the shipped weights")
    start.add_argument("--sharpen-shipped", action="store_true", help="the generator's adversarial stage only")
    parser.add_argument("--seconds", type=float, help="of each training, into which its last stage is fitted")
    parser.add_argument("--install", action="store_true", help="replace what is shipped by the results")
    return parser


def main() -> None:
    """Make the prior again."""
    args = command_line().parse_args()
    if args.seconds is not None:
        check_positive("--seconds", args.seconds, CommandError)
    if args.install:
        check_writable(*(DATA / name for name in WEIGHTS), force=True)
    work, on_gpu = args.work.resolve(), args.device == "cuda"
    shipped, number = args.continue_shipped or args.sharpen_shipped, 1 if on_gpu else args.processes
    options = {name: (text if on_gpu else CPU.get(name, "")).split() for name, text in GPU.items()}
    for name in ("judge", "generator", "continue", "sharpen") if args.seconds else ():
        options[name] += ["--seconds", str(args.seconds)]
    run((f"{TRAINING}.render_training_set", work / "data", "--processes", number, *options["render"]))
    how = "sharpen" if args.sharpen_shipped else "continue" if shipped else "generator"
    nets = {} if args.sharpen_shipped else net_programs(work, options, shipped)
    steps = [step for programs in nets.values() for step in programs]
    generator = generator_program(work, options, how, number)
    if on_gpu and shipped:
        run(*steps, generator)
    else:
        for step in (*steps, generator):
            run(step)
    run(("tools.portraits.make_test", work / "test"))
    if args.install:
        install(work)
        run(("tools.portraits.check", "--write"))


if __name__ == "__main__":
    sys.exit(ended(main))
