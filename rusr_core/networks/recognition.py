"""Face recognition networks: an image of a face to an embedding that says whose face it is.

ArcFace: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019,
https://arxiv.org/abs/1801.07698; the IR-SE50 network and its file `model_ir_se50.pth` are those of
TreB1eN/InsightFace_Pytorch, the crop is the one of pSp (eladrich/pixel2style2pixel). FaceNet: Schroff et al.,
CVPR 2015, https://arxiv.org/abs/1503.03832, the Inception-ResNet v1 of the package facenet-pytorch. The
embedded prior's is `portrait_net.PortraitNet`. All are differentiable from the embedding to the image.

Chapter: book/losses.ipynb.
"""

from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rusr_core.errors import RusrError
from rusr_core.limits import MAX_SIDE, check_whole
from rusr_core.networks.frozen import frozen

FFHQ_SIDE = 256  # px; the crop below is stated on this side
FFHQ_BOX = (35, 223, 32, 220)  # top, bottom, left, right: the face in an FFHQ-aligned image (pSp)


class IdentityError(RusrError):
    """Weights that are not those of the network, or images that it cannot read."""


class Embedder(Protocol):
    """What the identity loss and metric ask of a face-recognition network."""

    def embed(self, x: Tensor) -> Tensor:
        """Images [N, 3, H, W] in [0, 1] -> embeddings [N, E] of unit norm."""


def crop_face(x: Tensor, side: int) -> Tensor:
    """The face in FFHQ-aligned images [N, 3, H, W] in [0, 1], H = W >= 32 -> [N, 3, side, side], area-averaged.

    Larger images are first averaged down to 256 px, smaller ones are cropped by the same fractions. Another shape is
    an `IdentityError`.
    """
    if x.ndim != 4 or x.shape[1] != 3 or x.shape[2] != x.shape[3] or x.shape[2] < 32:
        raise IdentityError(f"images {tuple(x.shape)}: expected [N, 3, H, H], FFHQ-aligned, 32 px or more")
    check_whole("side", side, 1, MAX_SIDE, IdentityError)
    if x.shape[2] > FFHQ_SIDE:
        x = F.adaptive_avg_pool2d(x, FFHQ_SIDE)
    top, bottom, left, right = (round(edge * x.shape[2] / FFHQ_SIDE) for edge in FFHQ_BOX)
    x = x[:, :, top:bottom, left:right]
    if x.shape[2] >= side:
        return F.adaptive_avg_pool2d(x, side)
    return F.interpolate(x, (side, side), mode="bilinear", align_corners=False)


class SqueezeExcitation(nn.Module):
    """Channel gates from the spatial mean (Hu et al., CVPR 2018), reduction 16."""

    def __init__(self, channels: int):
        super().__init__()
        self.fc1 = nn.Conv2d(channels, channels // 16, 1, bias=False)
        self.fc2 = nn.Conv2d(channels // 16, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc2(F.relu(self.fc1(x.mean((2, 3), keepdim=True)))))


class ResidualUnit(nn.Module):
    """Improved residual unit: BN, 3x3, PReLU, 3x3 with stride, BN, gates; plus the shortcut."""

    def __init__(self, inputs: int, depth: int, stride: int):
        super().__init__()
        self.stride = stride
        self.shortcut_layer = None
        if inputs != depth:
            project = nn.Conv2d(inputs, depth, 1, stride, bias=False)
            self.shortcut_layer = nn.Sequential(project, nn.BatchNorm2d(depth))
        self.res_layer = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.Conv2d(inputs, depth, 3, 1, 1, bias=False),
            nn.PReLU(depth),
            nn.Conv2d(depth, depth, 3, stride, 1, bias=False),
            nn.BatchNorm2d(depth),
            SqueezeExcitation(depth),
        )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x[:, :, :: self.stride, :: self.stride] if self.shortcut_layer is None else self.shortcut_layer(x)
        return self.res_layer(x) + shortcut


class ArcFace(nn.Module):
    """IR-SE50 with the tensor names of `model_ir_se50.pth`: the face at 112 px to an embedding of 512 numbers."""

    CITES: ClassVar[tuple[str, ...]] = ("deng2019arcface",)

    OWN_TENSOR: ClassVar[str] = "output_layer.3.weight"
    STAGES: ClassVar[tuple] = ((64, 3), (128, 4), (256, 14), (512, 3))  # channels, units; the first of each halves
    SIDE: ClassVar[int] = 112

    def __init__(self):
        super().__init__()
        self.input_layer = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.PReLU(64))
        units, inputs = [], 64
        for depth, count in self.STAGES:
            units += [ResidualUnit(inputs, depth, 2), *(ResidualUnit(depth, depth, 1) for _ in range(count - 1))]
            inputs = depth
        self.body = nn.Sequential(*units)
        self.output_layer = nn.Sequential(
            nn.BatchNorm2d(512),
            nn.Dropout(0.6),
            nn.Flatten(),
            nn.Linear(512 * 7 * 7, 512),
            nn.BatchNorm1d(512),
        )

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "ArcFace":
        """The frozen network with the tensors of `model_ir_se50.pth`; others are an `IdentityError`."""
        return frozen(cls, state, IdentityError)

    def embed(self, x: Tensor) -> Tensor:
        """x [N, 3, H, H] in [0, 1], FFHQ-aligned -> [N, 512] of unit norm."""
        x = crop_face(x, self.SIDE) * 2 - 1
        return F.normalize(self.output_layer(self.body(self.input_layer(x))), dim=1)


class FaceNet(nn.Module):
    """Inception-ResNet v1 of the package facenet-pytorch: the face at 160 px to an embedding of 512 numbers.

    The package has to be installed; what it would download is not used.
    """

    CITES: ClassVar[tuple[str, ...]] = ("schroff2015facenet",)

    OWN_TENSOR: ClassVar[str] = "last_linear.weight"
    SIDE: ClassVar[int] = 160

    def __init__(self):
        super().__init__()
        try:
            from facenet_pytorch import InceptionResnetV1
        except ImportError as error:
            raise IdentityError("FaceNet needs the package facenet-pytorch, which is not installed") from error
        self.net = InceptionResnetV1(pretrained=None, classify=False)

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "FaceNet":
        """The frozen network with the package's tensors, without the classifier `logits`; else `IdentityError`."""
        state = {f"net.{k}": v for k, v in state.items() if not k.startswith("logits.")}
        return frozen(cls, state, IdentityError)

    def embed(self, x: Tensor) -> Tensor:
        """x [N, 3, H, H] in [0, 1], FFHQ-aligned -> [N, 512] of unit norm."""
        return self.net((crop_face(x, self.SIDE) * 255 - 127.5) / 128)
