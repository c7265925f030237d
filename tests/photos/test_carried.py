"""What happened to a photograph, carried over to a face: on photographs whose faces are known."""

import pytest
import torch
from conftest import PORTRAIT

from rusr_core.degradations import JPEG, Blur, Fade, Mask, PoissonBernoulliNoise, ReadNoise, Resize
from rusr_core.images import load_image, resize, save_image, to_uint8
from rusr_core.photos.align import align, corners
from rusr_core.photos.carried import AROUND, carried, window_around
from rusr_core.photos.estimate import Estimate, estimate
from rusr_core.photos.masks import align_mask


def square(centre: tuple[float, float], side: float, degrees: float = 0.0) -> torch.Tensor:
    """A square [4, 2] in a photograph, whose upper edge rises to the right by an angle."""
    angle = torch.tensor(degrees).double().deg2rad()
    x = torch.stack((angle.cos(), -angle.sin())) * side / 2
    y = torch.stack((-x[1], x[0]))
    middle = torch.tensor(centre).double()
    return torch.stack((middle - x - y, middle - x + y, middle + x + y, middle + x - y))


def found(*stages, size=(400, 400), before=None, mode=None) -> Estimate:
    return Estimate(PORTRAIT, *size, (), stages, before or size, mode)


def test_the_size_is_that_of_the_face_at_most_the_priors():
    quad = square((200, 200), 100)
    assert carried(found(), quad, 128).size == 100 and carried(found(), quad, 128).f.stages == (Resize(100, "bicubic"),)
    large = carried(found(), square((200, 200), 300), 128)
    assert large.size == 128 and large.f.stages == () and large.notes == ()
    enlarged = carried(found(before=(200, 200), mode="bicubic"), quad, 128)
    assert enlarged.size == 50


def test_widths_shrink_and_directions_turn_with_the_face():
    quad = square((200, 200), 256, 20)
    blur, motion = carried(found(Blur(3.0), Blur(length=12.0, direction=50.0)), quad, 128).f.stages
    assert blur.width == 1.5 and motion.length == 6 and motion.direction == pytest.approx(30)
    assert carried(found(Blur(0.5), Blur(length=2.0)), quad, 128).f.stages == ()
    fade = Fade(0.8, 0.1)
    assert carried(found(fade), quad, 128).f.stages == (fade,)


def test_a_motion_in_the_photograph_is_that_of_the_face():
    """Blurred in the photograph, then aligned, is aligned, then blurred as it is carried over."""
    scene = resize(load_image(PORTRAIT), 384, "lanczos").clamp(0, 1)
    quad, motion = square((192, 192), 200, -25), Blur(length=20.0, direction=10.0)
    (own,) = carried(found(motion), quad, 128).f.stages
    made = align(to_uint8(motion.degrade(scene)[0]), quad, 128)
    upright = align(to_uint8(scene[0]), quad, 128)
    inner = (..., slice(16, -16), slice(16, -16))
    error = (own.forward(upright) - made)[inner].square().mean()
    assert error < 0.02 * (upright - made)[inner].square().mean()


@pytest.mark.parametrize("side", [100, 300])
def test_noise_is_averaged_as_the_face_is_shrunk(side):
    draw = torch.Generator().manual_seed(1)
    noise = ReadNoise(0.08)
    photograph = to_uint8(noise.degrade(torch.full((1, 3, 400, 400), 0.5), draw)[0])
    quad = square((200, 200), side, 11)
    face = carried(found(noise), quad, 128)
    left = align(photograph, quad, face.size).std()
    (own,) = [stage for stage in face.f.stages if isinstance(stage, ReadNoise)]
    assert own.sigma == pytest.approx(float(left), rel=0.1) and own.sigma < 0.09
    photons = carried(found(PoissonBernoulliNoise(50, 0.1)), quad, 128)
    (counted,) = [stage for stage in photons.f.stages if isinstance(stage, PoissonBernoulliNoise)]
    assert counted.photons == pytest.approx(50 * (0.08 / own.sigma) ** 2, rel=1e-3) and counted.p == 0
    assert "dead pixels" in photons.notes[0]


def test_blocks_are_assumed_where_they_can_be_seen():
    jpeg = JPEG(30)
    near, far = (carried(found(jpeg), square((200, 200), side), 128) for side in (120, 300))
    assert near.f.stages[-1] == jpeg and "corner of the face's square" in near.notes[0]
    assert far.f.stages == () and "shrunk to 43 %" in far.notes[0]


def test_a_mask_goes_where_its_photograph_goes():
    """What is painted over is hidden in the upright picture, and little around it."""
    quad, known = square((200, 200), 250, 30), torch.ones(1, 1, 400, 400)
    known[..., 180:230, 150:260] = 0
    painted = torch.where(known > 0, 0.4, 1.0).expand(-1, 3, -1, -1)
    upright, mask = align(to_uint8(painted[0]), quad, 96), align_mask(known, quad, (96, 96))
    assert set(mask.unique().tolist()) == {0, 1}
    assert (upright[(mask > 0.5).expand(-1, 3, -1, -1)] - 0.4).abs().max() < 0.02  # nothing of the paint is known
    assert (upright.mean(1, keepdim=True) > 0.45).sum() < (mask < 0.5).sum() < 1.5 * (upright[:, :1] > 0.7).sum()
    (stage,) = carried(found(), quad, 96, known).f.stages
    assert torch.equal(stage.visible, mask)
    assert torch.equal(carried(found(Mask(known)), quad, 96).f.stages[-1].visible, mask)
    assert carried(found(), square((60, 60), 96), 96, known).f.stages == ()  # hides nothing there
    beyond = align_mask(torch.ones(1, 1, 400, 400), square((0, 200), 96), (96, 96))
    assert (beyond[..., :46] == 0).all() and (beyond[..., 52:] == 1).all()
    assert (align_mask(known, square((900, 900), 96), (96, 96)) == 0).all()


def test_only_a_part_of_a_large_photograph_is_looked_at(tmp_path):
    assert window_around(square((200, 200), 100), (2048, 2048)) is None
    window = window_around(square((3000, 500), 100), (4000, 5000))
    assert window == (3000 - AROUND // 2, 0, 3000 + AROUND // 2, 500 + AROUND // 2)
    assert window_around(corners(5000), (5000, 5000)) == (0, 0, 5000, 5000)
    scene = torch.full((1, 3, 320, 320), 0.5)
    scene[..., 150:278, 170:298] = JPEG(15, "4:4:4").degrade(load_image(PORTRAIT))
    scene = JPEG(15, "4:4:4").degrade(scene)
    path = save_image(scene, tmp_path / "scene.png")
    part = estimate(path, window=(165, 149, 300, 290))
    assert (part.width, part.height) == (300 - 160, 290 - 144) and part.stages == (JPEG(15, "4:4:4"),)
    named = {item.name: item for item in part.findings}
    assert "only a part" in named["true size"].source and "only a part" in named["hole"].source
