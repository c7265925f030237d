"""Frozen networks that look at images: whether two look alike, whose face it is, and what lies behind the noise."""

from rusr_core.networks.denoiser import Denoiser, DenoiserConfig
from rusr_core.networks.perceptual import LPIPSFeatures, Perceptual
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig
from rusr_core.networks.recognition import ArcFace, Embedder, FaceNet

__all__ = [
    "ArcFace", "Denoiser", "DenoiserConfig", "Embedder", "FaceNet", "LPIPSFeatures", "Perceptual", "PortraitNet",
    "PortraitNetConfig",
]  # fmt: skip
