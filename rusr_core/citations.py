"""The papers that a result rests on.

What stands in a paper's debt says so itself, by an attribute `CITES` with the names of `PAPERS`: generators, networks,
degradations, losses; presets and optimisers in a table. A result holds the names in `info["references"]`.
"""

from dataclasses import dataclass

from rusr_core.errors import RusrError
from rusr_core.limits import shown

STYLES = ("bibtex", "text")
ACCENTS = {r"{\'e}": "é", r"{\c{c}}": "ç", r"{\"a}": "ä", r"{\"o}": "ö"}  # BibTeX's


class CitationError(RusrError):
    """A style or a paper that is not known."""


@dataclass(frozen=True)
class Paper:
    """A publication. `author` and `title` are BibTeX: names joined by "and", braces around capitals."""

    kind: str  # "inproceedings", "article" or "misc"
    author: str
    title: str
    venue: str
    year: int

    def bibtex(self, name: str) -> str:
        """The entry of a .bib file."""
        venue = {"inproceedings": "booktitle", "article": "journal", "misc": "howpublished"}[self.kind]
        fields = {"author": self.author, "title": self.title, venue: self.venue, "year": self.year}
        body = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items())
        return f"@{self.kind}{{{name},\n{body}\n}}"

    def text(self) -> str:
        """One line for people."""
        title = self.title.replace("{", "").replace("}", "")
        author = self.author.replace(" and ", "; ")
        for accented, letter in ACCENTS.items():
            author = author.replace(accented, letter)
        return f"{author}. {title}. {self.venue}, {self.year}."


CVPR = "IEEE/CVF Conference on Computer Vision and Pattern Recognition (CVPR)"
PAPERS = {
    "poirierginter2023robust": Paper(
        "inproceedings",
        r"Poirier-Ginter, Yohan and Lalonde, Jean-Fran{\c{c}}ois",
        "Robust Unsupervised {StyleGAN} Image Restoration",
        CVPR,
        2023,
    ),
    "karras2020analyzing": Paper(
        "inproceedings",
        "Karras, Tero and Laine, Samuli and Aittala, Miika and Hellsten, Janne and Lehtinen, Jaakko and Aila, Timo",
        "Analyzing and Improving the Image Quality of {StyleGAN}",
        CVPR,
        2020,
    ),
    "karras2021alias": Paper(
        "inproceedings",
        r"Karras, Tero and Aittala, Miika and Laine, Samuli and H{\"a}rk{\"o}nen, Erik and Hellsten, Janne and "
        "Lehtinen, Jaakko and Aila, Timo",
        "Alias-Free Generative Adversarial Networks",
        "Advances in Neural Information Processing Systems (NeurIPS)",
        2021,
    ),
    "sauer2022styleganxl": Paper(
        "inproceedings",
        "Sauer, Axel and Schwarz, Katja and Geiger, Andreas",
        "{StyleGAN-XL}: Scaling {StyleGAN} to Large Diverse Datasets",
        "ACM SIGGRAPH Conference Proceedings",
        2022,
    ),
    "zhang2018unreasonable": Paper(
        "inproceedings",
        "Zhang, Richard and Isola, Phillip and Efros, Alexei A. and Shechtman, Eli and Wang, Oliver",
        "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric",
        CVPR,
        2018,
    ),
    "simonyan2015very": Paper(
        "inproceedings",
        "Simonyan, Karen and Zisserman, Andrew",
        "Very Deep Convolutional Networks for Large-Scale Image Recognition",
        "International Conference on Learning Representations (ICLR)",
        2015,
    ),
    "deng2019arcface": Paper(
        "inproceedings",
        "Deng, Jiankang and Guo, Jia and Xue, Niannan and Zafeiriou, Stefanos",
        "{ArcFace}: Additive Angular Margin Loss for Deep Face Recognition",
        CVPR,
        2019,
    ),
    "schroff2015facenet": Paper(
        "inproceedings",
        "Schroff, Florian and Kalenichenko, Dmitry and Philbin, James",
        "{FaceNet}: A Unified Embedding for Face Recognition and Clustering",
        "IEEE Conference on Computer Vision and Pattern Recognition (CVPR)",
        2015,
    ),
    "kingma2015adam": Paper(
        "inproceedings",
        "Kingma, Diederik P. and Ba, Jimmy",
        "Adam: A Method for Stochastic Optimization",
        "International Conference on Learning Representations (ICLR)",
        2015,
    ),
    "gneiting2007strictly": Paper(
        "article",
        "Gneiting, Tilmann and Raftery, Adrian E.",
        "Strictly Proper Scoring Rules, Prediction, and Estimation",
        "Journal of the American Statistical Association",
        2007,
    ),
    "wallace1992jpeg": Paper(
        "article",
        "Wallace, Gregory K.",
        "The {JPEG} Still Picture Compression Standard",
        "IEEE Transactions on Consumer Electronics",
        1992,
    ),
    "vanderwalt2014scikit": Paper(
        "article",
        r"van der Walt, St{\'e}fan and Sch{\"o}nberger, Johannes L. and Nunez-Iglesias, Juan and "
        r"Boulogne, Fran{\c{c}}ois and Warner, Joshua D. and Yager, Neil and Gouillart, Emmanuelle and Yu, Tony",
        "scikit-image: image processing in {Python}",
        "PeerJ",
        2014,
    ),
    "menon2020pulse": Paper(
        "inproceedings",
        "Menon, Sachit and Damian, Alexandru and Hu, Shijia and Ravi, Nikhil and Rudin, Cynthia",
        "{PULSE}: Self-Supervised Photo Upsampling via Latent Space Exploration of Generative Models",
        CVPR,
        2020,
    ),
    "marinescu2020bayesian": Paper(
        "misc",
        "Marinescu, Razvan V. and Moyer, Daniel and Golland, Polina",
        "Bayesian Image Reconstruction using Deep Generative Models",
        "arXiv:2012.04567",
        2020,
    ),
    "conmy2022stylegan": Paper(
        "inproceedings",
        r"Conmy, Arthur and Mukherjee, Subhadip and Sch{\"o}nlieb, Carola-Bibiane",
        "{StyleGAN}-induced data-driven regularization for inverse problems",
        "IEEE International Conference on Acoustics, Speech and Signal Processing (ICASSP)",
        2022,
    ),
    "gu2020image": Paper(
        "inproceedings",
        "Gu, Jinjin and Shen, Yujun and Zhou, Bolei",
        "Image Processing Using Multi-Code {GAN} Prior",
        CVPR,
        2020,
    ),
    "roich2022pivotal": Paper(
        "article",
        "Roich, Daniel and Mokady, Ron and Bermano, Amit H. and Cohen-Or, Daniel",
        "Pivotal Tuning for Latent-based Editing of Real Images",
        "ACM Transactions on Graphics",
        2022,
    ),
    "xia2026noise": Paper(
        "inproceedings",
        "Xia, Yingzhi and Tanomkiattikun, Setthakorn and Zhen, Liangli and Gu, Zaiwang",
        "Noise-Adaptive Diffusion Sampling for Inverse Problems Without Task-Specific Tuning",
        "International Conference on Learning Representations (ICLR)",
        2026,
    ),
    "karras2022elucidating": Paper(
        "inproceedings",
        "Karras, Tero and Aittala, Miika and Aila, Timo and Laine, Samuli",
        "Elucidating the Design Space of Diffusion-Based Generative Models",
        "Advances in Neural Information Processing Systems (NeurIPS)",
        2022,
    ),
    "kawar2022denoising": Paper(
        "inproceedings",
        "Kawar, Bahjat and Elad, Michael and Ermon, Stefano and Song, Jiaming",
        "Denoising Diffusion Restoration Models",
        "Advances in Neural Information Processing Systems (NeurIPS)",
        2022,
    ),
    "kawar2022jpeg": Paper(
        "misc",
        "Kawar, Bahjat and Song, Jiaming and Ermon, Stefano and Elad, Michael",
        "{JPEG} Artifact Correction using Denoising Diffusion Restoration Models",
        "arXiv:2209.11888",
        2022,
    ),
    "chung2023diffusion": Paper(
        "inproceedings",
        "Chung, Hyungjin and Kim, Jeongsol and McCann, Michael T. and Klasky, Marc L. and Ye, Jong Chul",
        "Diffusion Posterior Sampling for General Noisy Inverse Problems",
        "International Conference on Learning Representations (ICLR)",
        2023,
    ),
    "zhang2025improving": Paper(
        "inproceedings",
        "Zhang, Bingliang and Chu, Wenda and Berner, Julius and Meng, Chenlin and Anandkumar, Anima and Song, Yang",
        "Improving Diffusion Inverse Problem Solving with Decoupled Noise Annealing",
        CVPR,
        2025,
    ),
}


def cited(*things: object) -> list[str]:
    """The names of the papers that these things cite, each once, in their order."""
    return list(dict.fromkeys(name for thing in things for name in getattr(thing, "CITES", ())))


def citation(result: object, style: str = "bibtex") -> str:
    """The papers that a restoration rests on: its preset, losses, optimiser, degradation, networks and generator.

    Args:
        result: what `restore` or another method returned, or `Restoration.load`.
        style: "bibtex", entries for a .bib file, or "text", a line each.

    A method of one's own names its papers in `info["references"]`: names in PAPERS, or its own entries as text, which
    are returned as they are.
    """
    if style not in STYLES:
        raise CitationError(f"citation style {style!r}: expected one of {', '.join(STYLES)}")
    info = getattr(result, "info", None)
    if not isinstance(info, dict):
        raise CitationError(f"a result is {type(result).__name__}: expected a Restoration")
    names = info.get("references", [])
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise CitationError(f"the references of a result are {shown(names)}: expected a list of texts")
    entries = []
    for name in names:
        paper = PAPERS.get(name)
        if paper is None and len(name.split()) < 2:
            raise CitationError(f"paper {name!r}: expected one of {', '.join(PAPERS)}, or a whole reference")
        entries.append(name if paper is None else paper.bibtex(name) if style == "bibtex" else paper.text())
    return ("\n\n" if style == "bibtex" else "\n").join(entries)
