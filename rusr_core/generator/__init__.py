"""StyleGAN2: a mapping network and a synthesis network, in plain PyTorch.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, https://arxiv.org/abs/1912.04958.
Parameters carry the names of NVIDIA's stylegan2-ada-pytorch, so that a state dict fits without a key map.

The latent space is the rank of the tensor given to the synthesis network (L vectors, D numbers each):

    W    [N, D]        one vector for all layers
    W+   [N, L, D]     one vector per layer
    W++  [N, 1, R, D]  one vector per convolution output filter: the rows of all layers one after another

R counts the filters that exist (`Generator.rows` says how many each of the L vectors serves). The published code
keeps 512 rows for each vector; the rows that no filter reads have no influence and are not stored here.

Chapter: book/generator.ipynb.
"""

from rusr_core.generator.config import GeneratorConfig
from rusr_core.generator.layers import FullyConnected, fir_kernel, normalize_second_moment, upsample_image
from rusr_core.generator.stylegan2 import SPACES, Generator, LatentError, Mapping, Synthesis

__all__ = [
    "SPACES", "FullyConnected", "Generator", "GeneratorConfig", "LatentError", "Mapping", "Synthesis", "fir_kernel",
    "normalize_second_moment", "upsample_image",
]  # fmt: skip
