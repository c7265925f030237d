"""The bench for judges: does a distance grow with the damage, and does it order pictures as it should?

    python -m tools.portraits.judges --count 200 --out FOLDER
    python -m tools.portraits.judges --count 200 --out FOLDER --lpips

For portraits that no training has seen, two tables are written and printed: `severity.csv`, the mean distance from the
truth at six severities of twelve kinds of damage, and `orders.csv`, the share of pairs or triplets that each judge
orders right, with 95 % Wilson intervals. Nets A and B stand beside L2, SSIM and MS-SSIM; `--lpips` adds LPIPS-VGG for
whoever has its weights (they are downloaded unless `--lpips-weights FILE` names them). `--nets FOLDER` judges by other
nets A and B than those shipped.
"""

import argparse
import csv
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
from scipy.stats import binomtest
from torch import Tensor

from rusr_core.checkpoints import load_portrait_net, load_state
from rusr_core.commands.ending import ended
from rusr_core.commands.options import CommandError, count, device_of
from rusr_core.files import check_writable, write_atomic
from rusr_core.metrics import ssim, with_interval
from rusr_core.networks.perceptual import LPIPSFeatures, distance
from rusr_core.priors import lpips_heads
from rusr_core.priors.load import lpips_net
from tools.portraits import DATA
from tools.portraits.renderer import render, sample_z
from tools.portraits.training import orders
from tools.portraits.training.distortions import KINDS, distort
from tools.portraits.training.render_training_set import normalized

Judge = Callable[[Tensor, Tensor], Tensor]  # two batches [N, 3, H, W] in [0, 1] -> distances [N]
HELD_OUT_SEED = 800_000
SEVERITIES = 6
CHUNK = 50
TABLES = ("severity.csv", "orders.csv")


@dataclass(frozen=True)
class Share:
    """`right` of `count` comparisons, in order."""

    right: int
    count: int

    def interval(self) -> tuple[float, float]:
        """95 % interval of the share (Wilson 1927), which stays within [0, 1] and is never empty."""
        found = binomtest(self.right, self.count).proportion_ci(0.95, "wilson")
        return found.low, found.high

    def __str__(self) -> str:
        share = self.right / self.count
        return with_interval(*(100 * each for each in (share, *self.interval())), digits=1, unit="%")


def ms_ssim_distance(x: Tensor, y: Tensor) -> Tensor:
    """1 - MS-SSIM (Wang et al., Asilomar 2003), with a window of 7 px, so that five scales fit into 128 px."""
    import piq  # in the extra `training`: nothing else needs it

    return 1 - piq.multi_scale_ssim(x, y, kernel_size=7, data_range=1.0, reduction="none")


def judges(folder: Path, device: torch.device, lpips: bool = False, weights: Path | None = None) -> dict[str, Judge]:
    """Every judge by its name; nets A and B are read from `folder`."""
    out: dict[str, Judge] = {}
    for name in "ab":
        net = load_portrait_net(folder / f"features_{name}.safetensors").to(device)
        out[f"net {name.upper()}"] = net.distance
    out["L2"] = lambda x, y: (x - y).square().mean((1, 2, 3))
    out["SSIM"] = lambda x, y: 1 - ssim(x, y)
    out["MS-SSIM"] = ms_ssim_distance
    if lpips:
        vgg = (LPIPSFeatures(load_state(weights), lpips_heads()) if weights else lpips_net()).to(device)
        out["LPIPS-VGG"] = lambda x, y: distance(vgg.features(x), vgg.features(y))
    return out


@torch.no_grad()
def distances(judge: Judge, reference: Tensor, pictures: Tensor) -> Tensor:
    """Distances `[N]` on the CPU, chunk by chunk."""
    parts = zip(reference.split(CHUNK), pictures.split(CHUNK), strict=True)
    return torch.cat([judge(x, y).cpu() for x, y in parts])


def ladder(kind: str, z: Tensor, x: Tensor) -> list[Tensor]:
    """Portraits x of factors z, damaged in one kind with growing severity and with one draw: `SEVERITIES` batches."""
    out = []
    for severity in torch.linspace(0, 1, SEVERITIES):
        g = torch.Generator().manual_seed(HELD_OUT_SEED + 3)
        strength = KINDS[kind].strength(severity).expand(len(x))
        out.append(orders.edited(z, strength, g) if kind == "edit" else distort(x, kind, strength, g))
    return out


def severity_table(panel: dict[str, Judge], z: Tensor, x: Tensor) -> tuple[list[dict], dict[str, dict[str, Share]]]:
    """Mean distances for every kind and severity, and for every kind the shares of neighbouring severities in order."""
    rows, shares = [], {}
    for kind, about in KINDS.items():
        pictures, shares[kind] = ladder(kind, z, x), {}
        strengths = about.strength(torch.linspace(0, 1, SEVERITIES)).tolist()
        found = {name: torch.stack([distances(j, x, y) for y in pictures]) for name, j in panel.items()}
        for name, values in found.items():
            grows = values.diff(dim=0) > 0
            shares[kind][name] = Share(int(grows.sum()), grows.numel())
        for i, strength in enumerate(strengths):
            means = {name: f"{values[i].mean().item():.5g}" for name, values in found.items()}
            rows.append({"kind": kind, "unit": about.unit, "strength": f"{strength:.3g}"} | means)
    return rows, shares


def held_out_orders(z: Tensor, x: Tensor) -> orders.Triplets:
    """Triplets of every sort of orders.py."""
    seed = HELD_OUT_SEED + 5
    across = [orders.across_ranges(x, seed + 1), orders.agreed(x, seed + 2), orders.equal_l1(x, seed + 3)]
    edited = [orders.edits(z, seed + 4), orders.edits_against_distortions(z, seed + 5), orders.redrawn(z, seed + 6)]
    within = orders.within_kinds(x, seed)
    return orders.joined([within.renamed("within a kind"), *across, *edited, orders.named_cases(x)])


def order_table(panel: dict[str, Judge], triplets: orders.Triplets) -> dict[str, dict[str, Share]]:
    """For every sort of triplets, each judge's share in order."""
    further = {
        name: distances(j, triplets.reference, triplets.far) > distances(j, triplets.reference, triplets.near)
        for name, j in panel.items()
    }
    out: dict[str, dict[str, Share]] = {}
    for kind in dict.fromkeys(triplets.kinds):
        rows = [i for i, k in enumerate(triplets.kinds) if k == kind]
        out[kind] = {name: Share(int(right[rows].sum()), len(rows)) for name, right in further.items()}
    return out


def write_tables(out: Path, rows: list[dict], shares: dict[str, dict[str, Share]]) -> None:
    """`severity.csv` and `orders.csv`, each whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    severity, orders = io.StringIO(), io.StringIO()
    named = csv.DictWriter(severity, rows[0], lineterminator="\n")
    named.writeheader()
    named.writerows(rows)
    writer = csv.writer(orders, lineterminator="\n")
    writer.writerow(("kind", "judge", "right", "count", "low", "high"))
    for kind, found in shares.items():
        for name, share in found.items():
            low, high = share.interval()
            writer.writerow((kind, name, share.right, share.count, f"{low:.4f}", f"{high:.4f}"))
    for table, text in zip(TABLES, (severity, orders), strict=True):
        write_atomic(out / table, text.getvalue().encode())


def markdown(shares: dict[str, dict[str, Share]]) -> str:
    """The shares as a table for the model card."""
    names = list(next(iter(shares.values())))
    lines = ["| ordered right | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {kind} | " + " | ".join(str(found[name]) for name in names) + " |" for kind, found in shares.items()]
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=count, default=200, help="portraits")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two tables")
    parser.add_argument("--nets", type=Path, default=DATA, help="folder of features_a and features_b")
    parser.add_argument("--lpips", action="store_true", help="also judge by LPIPS-VGG")
    parser.add_argument("--lpips-weights", type=Path, help="a state dict of torchvision's vgg16, instead of a download")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    if args.lpips_weights and not args.lpips:
        parser.error("--lpips-weights is read with --lpips only")
    if find_spec("piq") is None:
        raise CommandError("MS-SSIM needs piq: pip install 'rusr[training]'")
    check_writable(*(args.out / name for name in TABLES), force=True, new_folders=True)
    device = device_of(args.device)
    panel = judges(args.nets, torch.device(device), args.lpips, args.lpips_weights)
    z = normalized(sample_z(HELD_OUT_SEED, args.count)).to(device)
    x = render(z)
    rows, monotone = severity_table(panel, z, x)
    found = monotone | order_table(panel, held_out_orders(z, x))
    write_tables(args.out, rows, found)
    print(markdown(found))


if __name__ == "__main__":
    sys.exit(ended(main))
