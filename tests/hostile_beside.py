"""Calls and closures beside a good generator."""

import os
import subprocess
from collections import OrderedDict
from pathlib import Path

from checkpoint_writers import rosinality_state, torch_bytes
from conftest import random_generator
from hostile_files import Call, canary
from stylegan3_examples import random_stylegan3
from stylegan3_writers import write_stylegan3, write_stylegan_xl


def beside_a_generator(folder: Path) -> dict[str, bytes]:
    """The calls beside a good generator, which is read although they are there: they stay what they are, data."""
    command, G = canary(folder), random_generator(resolution=4, channels=(3,), z_dim=4, w_dim=4, mapping_layers=1)
    calls = {
        "system": Call(os.system, command),
        "popen": Call(subprocess.Popen, ["sh", "-c", command]),
        "eval": Call(eval, f"__import__('os').system({command!r})"),
        "state": Call(OrderedDict, state={"__setstate__": Call(os.system, command)}),
        "deep": [1, {"deep": (Call(os.system, command),)}],
    }
    state = {"g_ema": rosinality_state(G), "latent_avg": G.mapping.w_avg}
    write_stylegan_xl(random_stylegan3(kind="xl"), folder / "xl")  # closures beside it
    write_stylegan3(random_stylegan3(), folder / "t")
    networks = {key: (folder / key).read_bytes() for key in ("xl", "t")}
    return networks | {
        f"{key}, {'zip' if zipped else 'stream'}": torch_bytes(state | {"args": call}, zipped)
        for key, call in calls.items()
        for zipped in (True, False)
    }
