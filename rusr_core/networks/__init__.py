"""Frozen networks that look at images: what looks alike, and who is in the picture."""

from rusr_core.networks.perceptual import LPIPSFeatures, Perceptual
from rusr_core.networks.portrait_net import PortraitNet, PortraitNetConfig
from rusr_core.networks.recognition import ArcFace, Embedder, FaceNet

__all__ = ["ArcFace", "Embedder", "FaceNet", "LPIPSFeatures", "Perceptual", "PortraitNet", "PortraitNetConfig"]
