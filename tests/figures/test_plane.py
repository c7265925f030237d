"""The toy plane: its search is what a pencil finds, its sets hold what they should, and its drawing shows them."""

import dataclasses

import pytest
import torch

from rusr_core.figures import FigureError, plane
from rusr_core.generator import LatentError
from rusr_core.generator.toy import ToyGenerator, picture_of, point_of
from rusr_core.presets import Phase
from rusr_core.prior import LatentGenerator, Prior


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_spaces_of_the_toy_are_a_parabola_a_half_plane_and_the_plane():
    G, draws = ToyGenerator(), torch.randn(50, 3, generator=rng(), dtype=torch.float64)
    assert isinstance(G, LatentGenerator) and Prior.of(G).resolution == 2
    w = draws[:, :1]
    x = G.brightness(w)
    assert torch.allclose(x[:, 1], x[:, 0] ** 2 - x[:, 0])
    plus = G.brightness(draws[:, :2, None])
    assert torch.allclose(plus, torch.stack([draws[:, 0], draws[:, 1] ** 2 - draws[:, 1]], 1))
    assert plus[:, 1].min() >= -0.25
    anything = torch.tensor([[0.3, -2.0], [-1.0, 5.0]], dtype=torch.float64)
    rows = torch.stack([anything[:, 0], torch.zeros(2, dtype=torch.float64), -anything[:, 1]], 1)
    assert torch.allclose(G.brightness(rows[:, None, :, None]), anything)
    for space in ("W+", "W++"):  # widening changes no picture
        assert torch.equal(G.image(G.widen(w, space)), G.image(w))
    assert torch.allclose(point_of(picture_of(anything)), anything)
    with pytest.raises(LatentError, match="'W': expected a space of W, W\\+, W\\+\\+ as wide"):
        G.widen(G.widen(w, "W+"), "W")


def test_the_search_is_what_a_pencil_finds():
    """Six steps of normalised gradient descent with the left pixel hidden, y = -0.33: each row moves by the rate."""
    found = plane.search("inpainting", plane.observed("inpainting"))
    by_hand = [(0.2, -0.16), (0.3, -0.21), (0.4, -0.24), (0.4, 0.45**2 - 0.45), (0.4, -0.25)]
    by_hand += [(0.4, 0.48**2 - 0.52), (0.4, 0.46**2 - 0.54)]
    assert torch.allclose(found.points, torch.tensor(by_hand, dtype=torch.float64))
    assert found.phases == ("W", "W", "W+", "W+", "W++", "W++")


def test_without_w_nothing_moves_what_is_hidden():
    only = dataclasses.replace(plane.SEARCH, phases=(Phase("W++", 0.02, 6),))
    y = plane.observed("inpainting")
    whole, alone = plane.search("inpainting", y).points[-1], plane.search("inpainting", y, preset=only).points[-1]
    truth = torch.tensor(plane.TRUTH, dtype=torch.float64)
    assert alone[0] == pytest.approx(0.2) and (whole - truth).norm() < (alone - truth).norm()


@pytest.mark.parametrize("task", plane.FORWARD)
def test_the_truth_agrees_with_its_own_input_and_the_search_comes_nearer_to_it(task):
    y = plane.observed(task, generator=rng())
    misfit = [(plane.FORWARD[task](picture_of(p[None])) - y).abs().mean() for p in plane.search(task, y).points]
    assert min(misfit[1:]) < misfit[0]
    seen = plane.FORWARD[task](picture_of(torch.tensor([plane.TRUTH], dtype=torch.float64)))
    if task == "denoising":
        assert not torch.equal(seen, y) and torch.equal(y[0, 0, 0], y[0, 2, 1])
    else:
        assert torch.allclose(seen, y)


@pytest.mark.parametrize("task", plane.FORWARD)
def test_what_is_drawn_as_agreeing_agrees(task):
    """Points of the drawn line or patch are sent through f; the disc holds two standard deviations."""
    y = plane.observed(task, generator=rng())
    figure = plane.plane(task, y, {"": plane.search(task, y)})
    (ax,) = figure.axes
    assert len(figure.legends) == 1
    labels = ax.get_legend_handles_labels()[1]
    assert {"W: the manifold", "agrees with y", "W", "W+", "W++", "truth"} <= set(labels)
    shape = ax.get_legend_handles_labels()[0][labels.index("agrees with y")]
    if task == "denoising":
        assert shape.get_radius() == 2 * plane.SIGMA
        assert torch.allclose(torch.tensor([shape.center], dtype=torch.float64), point_of(y))
        return
    if task == "deartifacting":
        (x, z), side = shape.get_xy(), 0.98 * plane.CELL
        points = [(x + 0.01 + i * side / 3, z + 0.01 + j * side / 3) for i in range(3) for j in range(3)]
    else:
        xs, zs = (list(v) for v in shape.get_data())
        xs = xs if task == "upsampling" else [-0.5, 1.3]  # a horizontal line spans the axes
        points = list(zip(xs, zs, strict=True))
    seen = plane.FORWARD[task](picture_of(torch.tensor(points, dtype=torch.float64)))
    assert torch.allclose(seen, y.expand_as(seen))


def test_a_drawing_is_an_image_too():
    y = plane.observed("inpainting")
    without, drawn = plane.drawn("inpainting", y), plane.drawn("inpainting", y, {"": plane.search("inpainting", y)})
    assert drawn.shape[:2] == (1, 3) and drawn.dtype == torch.float32 and drawn.max() == 1 and drawn.min() >= 0
    bare = plane.drawn("inpainting", y, legend=False)
    assert (
        bare.shape[2] < without.shape[2]
        and drawn.shape[3] == without.shape[3]
        and not torch.equal(drawn[..., :200, :], without[..., :200, :])
    )


def test_a_task_that_the_toy_does_not_have_is_refused():
    with pytest.raises(FigureError, match="task 'haze': expected one of upsampling, inpainting"):
        plane.observed("haze")
    with pytest.raises(FigureError, match="task 'upsampling' with y NoneType"):
        plane.plane("upsampling")


def test_several_tasks_share_one_drawing_and_one_legend():
    inputs = {task: plane.observed(task, generator=rng()) for task in plane.FORWARD}
    ways = {task: plane.search(task, y) for task, y in inputs.items()}
    figure = plane.planes(inputs, ways)
    assert [ax.get_title() for ax in figure.axes] == list(plane.FORWARD)
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert len(set(names)) == len(names) and {"agrees with y", "y", "truth", "W++"} <= set(names)
    with pytest.raises(FigureError, match="inputs upsampling, ways : expected tasks of upsampling"):
        plane.planes({"upsampling": inputs["upsampling"]}, {})
