"""The ablation: every variant of rusr_core.variants on five tasks, as a folder of results that another run resumes.

    python -m benchmarks.ablations --out _build/ablations --workers 2

Tasks: the four single ones and all four at once, level M. Chapter: book/ablations.ipynb.
"""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from rusr_core import results, tasks, zoo
from rusr_core.benchmark import Method, Setting
from rusr_core.cluster import run
from rusr_core.units import Images, Plan
from rusr_core.variants import VARIANTS

METHODS = (
    *(Method(name, preset) for name, preset in VARIANTS.items()),
    Method("report-random", "rusr_core.variants:random_start"),
)
TASKS = tuple(tasks.find(name, "M") for name in ("upsampling", "denoising", "deartifacting", "inpainting", "UNAP"))


def main() -> int:
    """Run what is left; 0 if every unit is done, 1 if some failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("_build/ablations"), help="default: %(default)s")
    parser.add_argument("--methods", nargs="+", choices=[m.name for m in METHODS], help="default: all", metavar="NAME")
    parser.add_argument("--num-images", type=int, help="the first so many of Portraits-X (default: all)")
    parser.add_argument("--prior", default=zoo.EMBEDDED, help="name or file (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, ... (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--threads", type=int, help="of each process (default: the cores divided among them)")
    args = parser.parse_args()
    chosen = tuple(m for m in METHODS if args.methods is None or m.name in args.methods)
    prior = str(Path(args.prior).absolute()) if Path(args.prior).exists() else args.prior
    setting = Setting(args.out.absolute(), chosen, prior=prior, device=args.device)
    names = tuple(Images(setting.images).paths)[: args.num_images]
    with tqdm(unit="unit", disable=None) as bar:

        def progress(done: int, planned: int) -> None:
            bar.total = planned
            bar.update(done - bar.n)

        plan = Plan(tuple(m.name for m in chosen), TASKS, names)
        summary = run(setting, plan, workers=args.workers, threads=args.threads, callback=progress)
    for line in summary.failed[:20]:
        print(line, file=sys.stderr)
    for path in results.write_tables(setting.folder):
        print(path)
    return 0 if summary.ok else 1


if __name__ == "__main__":
    sys.exit(main())
