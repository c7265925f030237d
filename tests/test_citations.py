"""The papers that a result rests on are named by what it was made with."""

import dataclasses
import re
from pathlib import Path

import pytest
import torch

import rusr_core as rusr
from rusr_core import presets
from rusr_core.baselines import METHODS
from rusr_core.citations import PAPERS, CitationError
from rusr_core.degradations import JPEG, Compose, PoissonBernoulliNoise
from rusr_core.restore import Restoration

BIB = (Path(__file__).resolve().parent.parent / "book/references.bib").read_text(encoding="utf-8")
ROOT = "poirierginter2023robust"
OURS = ("kingma2015adam", "gneiting2007strictly")  # the preset default: Adam, and two draws of noise


def named(result) -> list[str]:
    return re.findall(r"^@\w+\{(\w+),$", rusr.citation(result), re.M)


@pytest.mark.parametrize("name", PAPERS)
def test_the_book_has_the_same_entry(name):
    """No two truths: the book's bibliography holds each paper, letter for letter."""
    assert PAPERS[name].bibtex(name) in BIB


def test_the_citation_file_names_the_paper_of_every_method():
    text = (Path(__file__).resolve().parent.parent / "CITATION.cff").read_text(encoding="utf-8")
    wanted = [name for name in ("kawar2022jpeg", *(method.paper for method in METHODS.values())) if name]
    assert [name for name in wanted if re.sub("[{}]", "", PAPERS[name].title) not in text] == []


def test_a_search_names_what_it_used(prior, truth, tmp_path):
    f = Compose(PoissonBernoulliNoise(24, 0.1), JPEG(50))
    y = f.degrade(truth[:1], torch.Generator().manual_seed(0))
    report, published = (presets.get(name).shortened(1) for name in ("default", "cvpr2023"))
    result = rusr.restore(prior, y, f, preset=report)
    assert named(result) == [ROOT, "karras2020analyzing", "zhang2018unreasonable", "wallace1992jpeg", *OURS]
    calm = rusr.restore(prior, truth[:1], Compose(), preset=published)
    assert named(calm) == [ROOT, "karras2020analyzing", "zhang2018unreasonable"]
    own = dataclasses.replace(report, optimizer=lambda latents, lr: torch.optim.SGD(latents, lr))
    assert "kingma2015adam" not in named(rusr.restore(prior, truth[:1], Compose(), preset=own))
    assert named(Restoration.load(result.save(tmp_path / "kept"))) == named(result)


def test_the_networks_are_named(prior, truth, vgg):
    with_vgg = dataclasses.replace(prior, perceptual=vgg, identity=None)
    result = rusr.restore(with_vgg, truth[:1], Compose(), preset=presets.get("cvpr2023").shortened(1))
    assert "simonyan2015very" in named(result)


def other(*references) -> Restoration:
    return Restoration(torch.zeros(1, 3, 8, 8), 0.0, [0], 0, "mine", {"references": list(references)})


def test_references_as_text():
    lines = rusr.citation(other(ROOT, "A. Person. My own method. Journal, 2026."), "text").splitlines()
    assert lines[0] == (
        "Poirier-Ginter, Yohan; Lalonde, Jean-François. Robust Unsupervised StyleGAN Image Restoration. "
        "IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR), 2023."
    )
    assert lines[1:] == ["A. Person. My own method. Journal, 2026."]
    assert rusr.citation(other()) == ""


def test_what_cannot_be_cited():
    with pytest.raises(CitationError, match="paper 'nobody2026': expected one of .*poirierginter2023robust, "):
        rusr.citation(other("nobody2026"))
    with pytest.raises(CitationError, match="style 'apa': expected one of bibtex, text"):
        rusr.citation(other(), "apa")
