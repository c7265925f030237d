"""Normalised gradient descent against the published steps, and the meaning of a learning rate."""

import pytest
import torch
from conftest import golden, latent

from rusr_core.optimizers import OPTIMIZERS, NormalizedGradientDescent, OptimizerError, make_optimizer


def test_golden_awkward_rows():
    names = golden("ngd")
    p = names["p0"].clone().requires_grad_()
    p.grad = names["grad"].clone()
    NormalizedGradientDescent([p], float(names["lr"])).step()
    torch.testing.assert_close(p.detach(), names["p1"], atol=1e-6, rtol=0)
    moved = (p.detach() != names["p0"]).any(1).nonzero().flatten().tolist()
    assert moved == [0, 2, 6]


@pytest.mark.parametrize("space", ["W", "Wp", "Wpp"])
def test_golden_three_steps(space, published):
    arrays, G = published
    ws = latent(arrays, space).clone().requires_grad_()
    rate = dict(zip(("W", "Wp", "Wpp"), arrays["meta/lr"].tolist(), strict=True))[space]
    optimizer = NormalizedGradientDescent([ws], rate)
    for step in range(3):
        loss = (G.image(ws) * arrays["in/R"]).mean()
        assert loss.item() == pytest.approx(arrays[f"out/ngd_{space}_loss"][step].item(), abs=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        name = f"out/ngd_{space}_after{step + 1}"
        if name in arrays:
            torch.testing.assert_close(ws.detach(), arrays[name].view_as(ws), atol=5e-6, rtol=0)


@pytest.mark.parametrize("name", ["ngd", "adam"])
def test_a_rate_is_the_length_of_a_rows_first_step(name):
    p = torch.zeros(2, 1, 5, 64, requires_grad=True)
    p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(0))
    make_optimizer(name, [p], 0.3).step()
    torch.testing.assert_close(p.detach().norm(dim=-1), torch.full((2, 1, 5), 0.3), atol=1e-4, rtol=0)


def test_sgd_steps_along_the_gradient():
    p = torch.zeros(1, 4, requires_grad=True)
    p.grad = torch.tensor([[1.0, -2.0, 0.0, 4.0]])
    make_optimizer("sgd", [p], 0.5).step()
    assert p.tolist() == [[-0.5, 1.0, 0.0, -2.0]]


@pytest.mark.parametrize("name", ["ngd", "adam", "sgd"])
def test_latents_without_a_gradient_stay(name):
    a, b = torch.ones(1, 4, requires_grad=True), torch.ones(1, 4, requires_grad=True)
    optimizer = make_optimizer(name, [a, b], 0.1)
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        a.grad = torch.ones(1, 4)
        optimizer.step()
    assert (a < 1).all() and torch.equal(b, torch.ones(1, 4))


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("rate", [0, -0.1, float("nan"), float("inf"), True, "0.1", None])
def test_a_rate_that_cannot_be(name, rate):
    with pytest.raises(OptimizerError, match="lr is .*: expected a positive number"):
        OPTIMIZERS[name]([torch.zeros(1, 2, requires_grad=True)], rate)


def test_unknown_optimiser():
    for name in ("lbfgs", "somebodys.module:function"):  # the second is what a record says of an own one
        with pytest.raises(OptimizerError, match=f"'{name}': expected one of adam, ngd, sgd, or a function"):
            make_optimizer(name, [torch.zeros(1, 2)], 0.1)


def test_an_optimiser_of_ones_own():
    latents = [torch.zeros(1, 2, requires_grad=True)]
    own = make_optimizer(lambda latents, lr: torch.optim.RMSprop(latents, lr, momentum=0.9), latents, 0.1)
    assert isinstance(own, torch.optim.RMSprop) and own.param_groups[0]["lr"] == 0.1
    with pytest.raises(OptimizerError, match="made NoneType: expected a torch.optim.Optimizer"):
        make_optimizer(lambda latents, lr: None, latents, 0.1)


def test_normalised_gradient_descent_honours_a_closure():
    p = torch.tensor([[3.0, 4.0]], requires_grad=True)
    optimizer = NormalizedGradientDescent([p], 0.5)

    def closure():
        optimizer.zero_grad()
        loss = p.square().sum() / 2
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 12.5
    torch.testing.assert_close(p.detach(), torch.tensor([[2.7, 3.6]]))
    assert optimizer.step() is None
