"""`rusr zoo list | info NAME | fetch NAME | convert IN OUT.safetensors`."""

import argparse
from pathlib import Path

from rusr_core import priors
from rusr_core.checkpoints.generators import load_generator, save_generator
from rusr_core.files import check_writable, data_path
from rusr_core.priors.downloads import file_sha256
from rusr_core.priors.load import has_published_rates, locate


def options(parser: argparse.ArgumentParser) -> None:
    """The sub-commands, as options of `rusr zoo`."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="all priors and identity networks by name")
    for action, text in (("info", "what is known about one"), ("fetch", "download one, verified")):
        actions.add_parser(action, help=text).add_argument("name")
    convert = actions.add_parser("convert", help="any checkpoint that is read here, to safetensors")
    convert.add_argument("input", help="NVIDIA .pkl, rosinality .pt, ... (told apart by content), or a name of the zoo")
    convert.add_argument("output", type=Path, help="OUT.safetensors")
    convert.add_argument("--network", choices=("G_ema", "G"), default="G_ema", help="default: the averaged weights")
    convert.add_argument("--half", action="store_true", help="float16: half the size, rounded")
    convert.add_argument("--force", action="store_true", help="overwrite an existing file")


def run(args: argparse.Namespace) -> int:
    """Run one of the sub-commands; 0 when done. Bad input raises a RusrError."""
    return {"list": _list, "info": _info, "fetch": _fetch, "convert": _convert}[args.action](args)


def _state(entry: priors.Entry) -> str:
    if entry.url:
        return "downloaded" if entry.path.exists() else "not downloaded"
    return "put there by hand" if entry.path.exists() else "supply a path"


def _list(args: argparse.Namespace) -> int:
    entries = priors.table().values()
    names, domains = (max(len(getattr(e, word)) for e in entries) for word in ("name", "domain"))
    print(f"{priors.EMBEDDED:{names}} {'prior':10} {'128 px':>7}  {'portraits':{domains}} embedded")
    for entry in entries:
        side = f"{entry.resolution} px" if entry.resolution else ""
        print(f"{entry.name:{names}} {entry.kind:10} {side:>7}  {entry.domain:{domains}} {_state(entry)}")
    return 0


def _info(args: argparse.Namespace) -> int:
    if args.name == priors.EMBEDDED:
        path = data_path("portraits/generator.safetensors")
        lines = {"name": args.name, "title": "procedural portraits, trained for this project", "path": path}
        lines["sha256"] = file_sha256(path)
    else:
        entry = priors.find(args.name)
        lines = {"name": entry.name, "kind": entry.kind, "title": entry.title, "domain": entry.domain}
        lines |= {
            "resolution": f"{entry.resolution} px" if entry.resolution else "",
            "license": entry.license,
        }
        lines |= {"source": entry.source, "address": entry.url or "none verified: supply a path"}
        lines |= {"size": entry.size or "not stated by the source", "state": _state(entry)}
        lines["sha256"] = entry.sha256 or "not published: pinned at the first download"
        lines["path"] = entry.path
    for key, value in lines.items():
        if value:
            print(f"{key:11} {value}")
    return 0


def _fetch(args: argparse.Namespace) -> int:
    if args.name == priors.EMBEDDED:
        print(f"{args.name} is embedded: {data_path('portraits/generator.safetensors')}")
        return 0
    path = priors.fetch(args.name)
    entry = priors.find(args.name)
    unstated = (
        "pinned at the first download, no publisher states it" if entry.url else "put there by hand, not verified"
    )
    origin = "as published" if entry.sha256 else unstated
    print(f"{path}\nsha256 {file_sha256(path)} ({origin})")
    return 0


def _convert(args: argparse.Namespace) -> int:
    if args.output.suffix != ".safetensors":
        raise priors.ZooError(f"{args.output}: expected a name that ends in .safetensors")
    check_writable(args.output, force=args.force)
    source = locate(args.input)
    G = load_generator(source.path, args.network)
    header = {
        "name": source.name,
        "w_std": repr(G.mapping.measure_std()),
        "source": source.path.name,
        "source_sha256": file_sha256(source.path),
    }
    header |= {"networks": "portraits"} if source.portraits else {}
    header |= {"rates": "published"} if args.network == "G_ema" and has_published_rates(source, G) else {}
    save_generator(G, args.output, header, half=args.half)
    colours = "grey, " if G.config.img_channels == 1 else ""
    classes = f"{G.config.c_dim} classes, " if G.config.c_dim else ""
    size = args.output.stat().st_size / 1e6
    print(f"{args.output}: {G.config.resolution} px, {colours}{classes}{size:.1f} MB")
    return 0
