"""Style-based generators, a mapping network and a synthesis network each, in plain PyTorch.

StyleGAN2: Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020,
https://arxiv.org/abs/1912.04958. StyleGAN3: Karras et al., "Alias-Free Generative Adversarial Networks", NeurIPS 2021,
https://arxiv.org/abs/2106.12423. StyleGAN-XL: Sauer et al., "StyleGAN-XL: Scaling StyleGAN to Large Diverse Datasets",
SIGGRAPH 2022, https://arxiv.org/abs/2202.00273. Parameters carry the names of NVIDIA's stylegan2-ada-pytorch and
stylegan3, so that a state dict fits without a key map.

The latent space is the rank of the tensor given to the synthesis network (L vectors, D numbers each):

    W    [N, D]        one vector for all layers
    W+   [N, L, D]     one vector per layer
    W++  [N, 1, R, D]  one vector per convolution output filter: the rows of all layers one after another

R counts the rows that are read (`StyleGenerator.rows` says how many of each of the L vectors): one for each filter. The
three filters of a ToRGB that shares its vector with the next convolution read that convolution's first rows, and the
input of a StyleGAN3 has no filters and keeps one row. The published code of W++ keeps 512 rows for each vector; the
rows that no filter reads have no influence and are not stored here.

Chapter: book/generator.ipynb.
"""

from rusr_core.generator.base import SPACES, LatentError, StyleGenerator
from rusr_core.generator.config import GeneratorConfig
from rusr_core.generator.layers import FullyConnected, fir_kernel, normalize_second_moment, upsample_image
from rusr_core.generator.mapping import Mapping
from rusr_core.generator.stylegan2 import Generator, Synthesis
from rusr_core.generator.stylegan3 import StyleGAN3, placement
from rusr_core.generator.stylegan3_config import StyleGAN3Config, StyleGANXLConfig
from rusr_core.generator.stylegan_xl import StyleGANXL

__all__ = [
    "SPACES", "FullyConnected", "Generator", "GeneratorConfig", "LatentError", "Mapping", "StyleGAN3",
    "StyleGAN3Config", "StyleGANXL", "StyleGANXLConfig", "StyleGenerator", "Synthesis", "fir_kernel",
    "normalize_second_moment", "placement", "upsample_image",
]  # fmt: skip
