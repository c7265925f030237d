"""Our own files: lossless, deterministic, readable by others; every changed byte is noticed."""

import contextlib
import threading

import pytest
import torch
from checkpoint_writers import (
    CONFIGS,
    SMALL,
    assert_same,
)
from conftest import random_generator
from safetensors import safe_open
from safetensors.torch import save_file

from rusr_core.checkpoints import CheckpointError, load_generator, load_state, read_metadata, save_generator
from rusr_core.checkpoints.safetensors import write_tensors
from rusr_core.files import FileError


def test_safetensors_and_back_is_lossless(tmp_path):
    for name, settings in CONFIGS.items():
        G = random_generator(**settings)
        save_generator(G, tmp_path / name, {"w_std": "3.5"})
        H = load_generator(tmp_path / name)
        assert_same(G, H)
        assert H.config == G.config
        save_generator(H, tmp_path / "again", {"w_std": "3.5"})
        assert (tmp_path / "again").read_bytes() == (tmp_path / name).read_bytes()
    assert read_metadata(tmp_path / "again")["w_std"] == "3.5"


def test_the_safetensors_library_reads_our_files(tmp_path):
    G = random_generator(**SMALL)
    save_generator(G, tmp_path / "g", half=True)
    with safe_open(tmp_path / "g", "pt") as file:
        assert set(file.keys()) == set(G.state_dict())
        for name, tensor in G.state_dict().items():
            assert torch.equal(file.get_tensor(name), tensor.half())
    torch.testing.assert_close(load_generator(tmp_path / "g").state_dict(), G.state_dict(), rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_every_changed_byte_is_noticed_or_harmless(tmp_path):
    """Header and tensors. Harmless: padding, and the letters of the word sha256 (other tools write no digest)."""
    G = random_generator(resolution=4, channels=(2,), z_dim=3, w_dim=3, mapping_layers=1)
    path = tmp_path / "g"
    save_generator(G, path)
    good = path.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    for position in [*range(0, header, 11), *range(header, len(good), 7)]:
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x15]) + good[position + 1 :])
        harmless = position in range(good.index(b'"sha256"'), good.index(b'"sha256"') + 8)
        harmless |= good[position:header].strip() == b""
        if position < header and harmless:
            with contextlib.suppress(CheckpointError):
                assert_same(G, load_generator(path))
            continue
        with pytest.raises(CheckpointError):
            load_generator(path)


def test_an_interrupted_write_leaves_the_old_file(tmp_path):
    G = random_generator(**SMALL)
    save_generator(G, tmp_path / "g")
    before = (tmp_path / "g").read_bytes()
    with pytest.raises(CheckpointError, match="torch.float64"):
        write_tensors({"x": torch.zeros(2, dtype=torch.float64)}, tmp_path / "g", {})
    with pytest.raises(CheckpointError, match="must be text"):
        save_generator(G, tmp_path / "g", {"w_std": 3.0})
    with pytest.raises(FileError, match="cannot be written"):
        save_generator(G, tmp_path / "no such folder" / "g")
    assert (tmp_path / "g").read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_headers_that_ask_for_too_much(tmp_path):
    G = random_generator(**SMALL)
    for text in (
        G.config.to_json().replace('"resolution": 16', '"resolution": 1048576'),
        G.config.to_json().replace('"mapping_layers": 2', '"mapping_layers": 1000000000'),
        G.config.to_json().replace("[8, 6, 4]", "[8, 6, 400000000]"),
        G.config.to_json().replace("[8, 6, 4]", "[8, 6]"),
        "{}",
        "[" * 100_000,
    ):
        write_tensors(G.state_dict(), tmp_path / "g", {"format": "rusr-generator", "config": text})
        with pytest.raises(CheckpointError, match="configuration"):
            load_generator(tmp_path / "g")


def test_threads_that_write_one_file_leave_one_whole(tmp_path):
    generators = [random_generator(seed, **SMALL) for seed in range(4)]
    threads = [threading.Thread(target=save_generator, args=(G, tmp_path / "g")) for G in generators]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [path.name for path in tmp_path.iterdir()] == ["g"]
    found = load_generator(tmp_path / "g").synthesis.b8.conv0.weight
    assert any(torch.equal(found, G.synthesis.b8.conv0.weight) for G in generators)


def test_state_dicts_of_other_tools(tmp_path):
    """Any floating-point type; counters of batch normalisation are left out; whole numbers are no weights."""
    state = {"a": torch.ones(2, dtype=torch.float64), "b": torch.ones(2).half()}
    state["n.num_batches_tracked"] = torch.tensor(7)
    save_file(state, tmp_path / "s")
    found = load_state(tmp_path / "s")
    assert list(found) == ["a", "b"] and all(t.dtype == torch.float32 for t in found.values())
    save_file({"a": torch.arange(3)}, tmp_path / "s")
    with pytest.raises(CheckpointError, match="'a' is of type torch.int64, expected floating point"):
        load_state(tmp_path / "s")


def test_tensors_lie_where_convolutions_expect_them(tmp_path):
    """In a file a tensor begins at any byte; on such memory convolutions round differently, so a copy is read."""
    for note in ("", "x", "xx", "xxx"):  # headers of several lengths
        save_generator(random_generator(), tmp_path / "g.safetensors", {"note": note})
        G = load_generator(tmp_path / "g.safetensors")
        assert all(t.data_ptr() % 64 == 0 for t in G.state_dict().values())


def test_numbers_beyond_float16_are_refused_and_nothing_is_written(tmp_path):
    G = random_generator(**SMALL)
    G.mapping.w_avg[0] = 1e5
    with pytest.raises(CheckpointError, match=r"mapping.w_avg holds 100000: expected at most 65504 in float16"):
        save_generator(G, tmp_path / "g", half=True)
    assert list(tmp_path.iterdir()) == []
    save_generator(G, tmp_path / "g")
    assert load_generator(tmp_path / "g").w_mean[0] == 1e5
