"""The terms of a loss: whose they are, which of them can act, and what is no term."""

import pytest
import torch
from conftest import random_generator
from loss_examples import Net, images, loss_of

from rusr_core import presets
from rusr_core.losses import L1, Guess, LossError, RestorationLoss, Term
from rusr_core.prior import Prior


def test_terms_of_ones_own():
    """A function of a guess, and an object whose target is computed once."""

    class Edges:
        calls = 0

        def target(self, y, mask, clean):
            self.calls += 1
            return {"rows": [y.diff(dim=2)]}  # a tree of tensors: select finds those of the images that are left

        def __call__(self, guess, target):
            return (guess.degraded.diff(dim=2) - target["rows"][0]).abs().mean((1, 2, 3))

    edges = Edges()
    size = Term("size", 0.5, lambda guess: guess.latents.square().sum(1))
    loss = RestorationLoss((Term("edges", 2.0, edges),)) + size
    y, x, w = images(3), images(3, seed=2), torch.arange(6.0).reshape(3, 2)
    target = loss.target(y)
    values = loss(Guess(x, latents=w), target)
    assert list(values) == ["edges", "size", "total"] and loss.weights == {"edges": 2.0, "size": 0.5}
    torch.testing.assert_close(values["total"], 2 * values["edges"] + 0.5 * values["size"])
    some = torch.tensor([0, 2])
    fewer = loss(Guess(x[some], latents=w[some]), target.select(some))
    torch.testing.assert_close(fewer["total"], values["total"][some])
    assert edges.calls == 1


@pytest.mark.parametrize("value", [torch.zeros(()), torch.zeros(2, 1), 0.0])
def test_a_term_returns_one_value_an_image(value):
    loss = RestorationLoss((Term("mine", 1.0, lambda guess: value),))
    with pytest.raises(LossError, match=r"term 'mine' returned .*: expected \[2\], one an image"):
        loss(images(), loss.target(images()))


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("", 1.0, len), "called '': expected a word"),
        (("total", 1.0, len), "and not 'total'"),
        (("a", -1.0, len), "'a' has the weight -1.0: expected a number from 0"),
        (("a", float("nan"), len), "has the weight nan"),
        (("a", 1.0, 3), "'a' has the loss 3: expected a function of a Guess"),
    ],
)
def test_what_is_no_term(arguments, message):
    with pytest.raises(LossError, match=message):
        Term(*arguments)


def test_two_terms_of_one_name():
    with pytest.raises(LossError, match="two terms are called 'l1'"):
        presets.get("default").loss(Prior.of(random_generator(), Net(), Net())) + Term("l1", 1.0, L1())


def test_a_presets_loss_has_the_terms_that_the_prior_has_networks_for():
    G, net, preset = random_generator(), Net(), presets.get("default")
    assert preset.loss(Prior.of(G, net, net)).weights == {"lpips": 1.0, "l1": 0.1, "identity": 0.1}
    assert preset.loss(Prior.of(G, net)).weights == {"lpips": 1.0, "l1": 0.1}
    assert presets.get("cvpr2023").loss(Prior.of(G, net, net)).weights == {"lpips": 1.0, "l1": 0.1}
    assert preset.loss(Prior.of(G)).weights == {"l1": 0.1}


def test_terms_that_see_nothing_are_left_out():
    loss = loss_of(Net(), Net())
    assert loss.blind((16, 16)) == ["lpips", "identity"] and loss.blind((17, 17)) == []
    assert list(loss.fit((16, 16)).weights) == ["l1"]
    assert list(loss_of(Net(), Net(), oracle=True).fit((16, 16)).weights) == ["l1", "identity"]  # it sees G(w)


def test_an_oracle_needs_the_clean_images():
    loss = loss_of(Net(), Net(), oracle=True)
    with pytest.raises(LossError, match="clean= is needed"):
        loss.target(images())
