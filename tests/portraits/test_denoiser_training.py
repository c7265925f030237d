"""The denoiser's training: its loss and levels, repeatable, resumable, and files that the library loads."""

import inspect
import re
import sys
from dataclasses import replace

import pytest
import torch
from torch.distributed.run import get_args_parser

from rusr_core.checkpoints import load_denoiser
from rusr_core.networks.denoiser import Denoiser, DenoiserConfig, DenoiserError
from tools.portraits.training import train_denoiser, train_generator
from tools.portraits.training.denoising import (
    LEVELS,
    DenoiserTrainer,
    DenoisingPlan,
    Portraits,
    accuracy,
    draw_sigma,
    weighted_error,
)
from tools.portraits.training.training_set import World

CPU, WORLD = torch.device("cpu"), World()
TINY = DenoiserConfig((16, 16), 1, 8, features=2, head=4, embedding=8, coarse=8, modes=6)
PLAN = DenoisingPlan(images=16, batch=4)


def run(folder, stop: int | None = None) -> tuple[list[float], DenoiserTrainer]:
    """Losses of four steps and the trainer; with `stop`, saved and restored after that many steps."""
    data = Portraits(folder, CPU)
    trainer, losses = DenoiserTrainer(PLAN, TINY, data.reduced(8), CPU), []
    while trainer.seen < PLAN.images:
        if stop == len(losses):
            state, trainer = trainer.state(), DenoiserTrainer(PLAN, TINY, data.reduced(8), CPU)
            trainer.restore(state)
        losses.append(trainer.step(data.batch(PLAN, trainer.seen, WORLD), WORLD).item())
    return losses, trainer


def test_training_repeats_itself_and_resumes(small_set):
    first, trainer = run(small_set)
    again, resumed = run(small_set, stop=3)
    assert len(first) == 4 and first == again
    for name, value in trainer.average.state_dict().items():
        assert torch.equal(value, resumed.average.state_dict()[name])


def test_two_processes_see_one_batch_and_never_the_people_held_out(small_set):
    data = Portraits(small_set, CPU)
    whole = data.batch(PLAN, 8, WORLD)
    parts = [data.batch(PLAN, 8, World(rank, 2)) for rank in range(2)]
    assert torch.equal(torch.stack(parts, 1).flatten(0, 1), whole)
    assert len(data.images) == 56 and data.held_out(3).shape == (3, 3, 128, 128)
    trained = torch.from_numpy(data.images[:8].copy()).flatten(0, 1).float() / 127.5 - 1
    for picture in whole:
        assert any(torch.equal(picture, one) for one in trained)


def test_levels_follow_the_two_distributions():
    plan = DenoisingPlan(wide_share=0.0)
    sigma = draw_sigma(plan, 2_000, torch.Generator().manual_seed(0))
    assert sigma.log().mean().item() == pytest.approx(-0.5, abs=0.01)  # stratified: far nearer than by chance
    assert sigma.log().std().item() == pytest.approx(1.5, abs=0.02)
    wide = draw_sigma(DenoisingPlan(wide_share=1.0), 2_000, torch.Generator().manual_seed(0)).log()
    assert wide.min() >= 0 and wide.max() <= torch.tensor(80.0).log() and abs(wide.mean() - 2.19) < 0.1


def test_loss_is_one_where_nothing_is_predicted():
    """EDM weighs each level such that the best multiple of x, c_skip x, has the error 1 (EDM, section B.6)."""
    with torch.random.fork_rng(devices=[]):
        net = Denoiser(TINY)
    for parameter in net.net.parameters():
        parameter.data.zero_()  # and the linear denoiser's modes are zero: D = c_skip x
    g = torch.Generator().manual_seed(0)
    clean = TINY.data_std * torch.randn(len(LEVELS), 3, 128, 128, generator=g)
    loss = weighted_error(net, clean, torch.randn(clean.shape, generator=g), torch.tensor(LEVELS))
    assert torch.allclose(loss, torch.ones(len(LEVELS)), atol=0.03)


def test_accuracy_is_the_psnr_on_the_scale_of_minus_one_to_one():
    clean = torch.zeros(20, 3, 32, 32)
    found = accuracy(lambda x, _: x, clean, (0.1, 1.0))
    assert found == pytest.approx([26.02, 6.02], abs=0.1)  # 10 log10(4 / sigma^2)


def test_rate_rises_stays_and_falls_as_the_inverse_root():
    plan = DenoisingPlan(batch=8)
    assert plan.learning_rate(0) == pytest.approx(plan.rate * 8 / 400)
    assert plan.learning_rate(1_000) == plan.learning_rate(3_000) == plan.rate
    assert plan.learning_rate(12_000) == pytest.approx(plan.rate / 2)


def test_average_is_the_power_functions(small_set):
    data = Portraits(small_set, CPU)
    trainer, weights = DenoiserTrainer(PLAN, TINY, data.reduced(8), CPU), []
    while trainer.seen < 16:
        trainer.step(data.batch(PLAN, trainer.seen, WORLD), WORLD)
        weights.append(trainer.denoiser.net.out.bias.detach().double().clone())
    keep = [1 - (1 - 1 / k) ** 12 for k in range(1, 5)]  # weight of step k when it comes
    expected = torch.zeros_like(weights[0])
    for share, value in zip(keep, weights, strict=True):
        expected = (1 - share) * expected + share * value
    assert torch.allclose(trainer.average.net.out.bias.double(), expected, atol=1e-6)


def test_program_writes_what_the_library_loads_and_goes_on(small_set, tmp_path, monkeypatch):
    monkeypatch.setattr(train_denoiser, "DenoiserConfig", lambda: TINY)
    monkeypatch.setattr(train_denoiser, "JUDGED", 2)
    for images in ("8", "12"):
        words = ["--data", str(small_set), "--out", str(tmp_path), "--batch", "4", "--log-every", "4"]
        monkeypatch.setattr(sys, "argv", ["program", *words, "--images", images])
        train_denoiser.main()
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["images", "4", "8", "12"]
    made = load_denoiser(tmp_path / "denoiser.safetensors")
    assert made.config == TINY and made.wiener.modes.abs().max() > 0
    check_that_it_goes_on_with_a_file(tmp_path, words, monkeypatch)


@pytest.mark.parametrize("program", [train_denoiser, train_generator])
def test_torchrun_hands_every_option_on(program):
    """Once `--start` was refused there: torchrun took it for an abbreviation of an option of its own."""
    options = re.findall(r'add_argument\("(--[a-z-]+)"', inspect.getsource(program))
    assert {"--data", "--out"} < set(options)
    for option in options:
        found = get_args_parser().parse_args(["--nproc-per-node", "2", "-m", program.__name__, option, "1"])
        assert (found.training_script, found.training_script_args) == (program.__name__, [option, "1"])


def check_that_it_goes_on_with_a_file(folder, words, monkeypatch):
    """What is left of a run whose state is lost: the average, and how much it has seen."""
    words = [*words, "--start-from", str(folder / "denoiser.safetensors"), "--out", str(folder / "again")]
    monkeypatch.setattr(sys, "argv", ["program", *words, "--images", "12"])
    train_denoiser.main()  # it has seen so many: nothing is changed
    same = load_denoiser(folder / "again/denoiser.safetensors").state_dict()
    assert all(torch.equal(v, same[k]) for k, v in load_denoiser(folder / "denoiser.safetensors").state_dict().items())
    (folder / "again/state.pt").unlink()
    monkeypatch.setattr(sys, "argv", ["program", *words, "--images", "16"])
    train_denoiser.main()
    assert (folder / "again/log.csv").read_text().splitlines()[-1].startswith("16,")
    (folder / "again/state.pt").unlink()
    monkeypatch.setattr(train_denoiser, "DenoiserConfig", lambda: replace(TINY, head=6))
    with pytest.raises(DenoiserError, match=r"head=4.*: expected .*head=6"):
        train_denoiser.main()
