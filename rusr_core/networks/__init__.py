"""Frozen networks that look at images: whether two look alike, and whether they show the same person."""

from rusr_core.networks.perceptual import LPIPSFeatures, Perceptual
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig
from rusr_core.networks.recognition import ArcFace, Embedder, FaceNet

__all__ = ["ArcFace", "Embedder", "FaceNet", "LPIPSFeatures", "Perceptual", "PortraitNet", "PortraitNetConfig"]
