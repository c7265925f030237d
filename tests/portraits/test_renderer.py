"""The renderer of portraits: repeatable, smooth, every factor at work; its fine detail by draws."""

import sys

import numpy as np
import pytest
import torch

from rusr_core.checkpoints import load_portrait_net
from rusr_core.images import load_image
from tools.portraits import DATA
from tools.portraits import render as contact_sheet
from tools.portraits.renderer import ID_DIM, NUISANCE, Z_DIM, beyond, render, sample_z, textures
from tools.portraits.renderer.factors import INDEX, NAMES
from tools.portraits.renderer.portrait import paint
from tools.portraits.renderer.textures import SEED
from tools.portraits.training.render_training_set import (
    FILES,
    draw,
    factors,
    normalized,
    render_on_gpu,
    render_part,
)


@pytest.fixture(scope="module")
def portraits() -> torch.Tensor:
    return render(sample_z(3, 10))


def test_rendering_repeats_itself_and_depends_on_the_seed(portraits):
    assert torch.equal(portraits, render(sample_z(3, 10)))
    assert (portraits - render(sample_z(4, 10))).abs().mean() > 0.05


def test_a_portrait_does_not_depend_on_its_batch(portraits):
    z = sample_z(3, 10)
    for i in (0, 9):
        assert torch.allclose(render(z[i : i + 1]), portraits[i : i + 1], atol=1e-5)


def test_portraits_are_finite_and_in_range_even_far_out(portraits):
    wild = render(4 * sample_z(5, 8))
    for x in (portraits, wild):
        assert x.shape[1:] == (3, 128, 128) and torch.isfinite(x).all()
        assert x.min() >= 0 and x.max() <= 1


@pytest.mark.slow
def test_every_factor_changes_some_portrait():
    z = sample_z(6, 8)
    for name in ("glasses", "hat", "scarf", "beard"):  # some of what the other factors shape
        z[:, INDEX[name]] += 1
    z[:4, INDEX["gender"]] = -1.5
    base = render(z, 64)
    for i in range(Z_DIM):
        moved = z.clone()
        moved[:, i] *= -1
        assert (render(moved, 64) - base).abs().max() > 0.01, f"{NAMES[i]} does nothing"


def test_other_sizes_show_the_same_portrait(portraits):
    small = torch.nn.functional.avg_pool2d(portraits, 2)
    assert (render(sample_z(3, 10), 64) - small).abs().mean() < 0.03


def test_wrong_factors_are_refused():
    with pytest.raises(ValueError, match=f"must be .N, {Z_DIM}."):
        render(torch.zeros(2, Z_DIM - 1))


def test_beyond_the_range_differs_from_within():
    z = normalized(sample_z(8, 6))
    assert ((render(z, extra=beyond(8, 6)) - render(z)).abs().amax((1, 2, 3)) > 0.1).all()


def test_training_factors_keep_people_and_do_not_change_with_more_views():
    z = factors(5, 3)
    assert z.shape == (5, 3, Z_DIM) and torch.allclose(z.square().mean(2), torch.ones(5, 3), atol=1e-5)
    assert torch.equal(factors(5, 2), z[:, :2])
    directions = torch.nn.functional.normalize(z[..., :ID_DIM], dim=2)
    assert (directions[:, 0] * directions[:, 1]).sum(1).min() > 0.999
    assert len(NUISANCE) == Z_DIM - ID_DIM


def test_the_contact_sheet_command(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["render", str(tmp_path / "sheet.png"), "--count", "4"])
    contact_sheet.main()
    assert load_image(tmp_path / "sheet.png").shape == (1, 3, 128, 4 * 130 - 2)


def test_another_draw_changes_the_fine_detail_and_nothing_else(portraits):
    other, somebody = render(sample_z(3, 10), textures_seed=SEED + 5), portraits.roll(1, 0)
    assert (portraits - other).abs().amax((1, 2, 3)).min() > 0.1  # every portrait has some
    net = load_portrait_net(DATA / "features_b.safetensors")
    who, same, another = (net.embed(x) for x in (portraits, other, somebody))
    assert (who * same).sum(1).mean() > 0.9 > 0.5 > (who * another).sum(1).mean()
    assert (portraits - other).square().mean() < 0.1 * (portraits - somebody).square().mean()


def test_flat_textures_are_the_mean_of_the_draws():
    z = normalized(sample_z(3, 3))
    with torch.no_grad():
        many = torch.stack([render(z, 32, textures_seed=SEED + k) for k in range(1, 9)]).mean(0)
        flat = paint(z, textures(32, z.device).flat(), {})
    one = render(z, 32, textures_seed=SEED + 1)
    assert (flat - many).abs().mean() < 0.5 * (one - many).abs().mean()


def test_the_training_set_leaves_the_draw_of_the_test_portraits_alone():
    cpu = torch.device("cpu")
    assert not any(torch.equal(draw(k, "images.npy", cpu).grain, textures(128, cpu).grain) for k in range(3))
    assert draw(1, "flat.npy", cpu).knit.std() < 1e-6


def test_rendering_the_training_set_resumes(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda f, **options: f)  # compiling takes a minute and changes no pixel
    shape, cpu = (10, 1, 3, 128, 128), torch.device("cpu")
    files = {name: np.lib.format.open_memmap(tmp_path / name, "w+", np.uint8, shape) for name in FILES}
    (tmp_path / "done0of1.txt").write_text("1")  # the first chunk of 8 was done
    render_part(tmp_path, 10, 1, 0, 1)
    assert (tmp_path / "done0of1.txt").read_text() == "2"
    for name, images in files.items():
        with torch.no_grad():
            expected = paint(factors(10, 1)[8:, 0], draw(1, name, cpu), {}).numpy()
        assert not images[:8].any() and abs(images[8:, 0] / 255 - expected).max() < 0.6 / 255


def test_a_finished_set_is_not_rendered_again_in_one_process(tmp_path):
    files = {name: np.lib.format.open_memmap(tmp_path / name, "w+", np.uint8, (2, 1, 3, 128, 128)) for name in FILES}
    render_on_gpu(tmp_path, 2, 1, "cpu")  # the way of a GPU, on whatever device there is
    with torch.no_grad():
        expected = paint(factors(2, 1)[:, 0], draw(0, "images.npy", torch.device("cpu")), {}).numpy()
    assert abs(files["images.npy"][:, 0] / 255 - expected).max() < 0.6 / 255
    files["images.npy"][:] = 7
    render_on_gpu(tmp_path, 2, 1, "cpu")
    assert (files["images.npy"] == 7).all()
