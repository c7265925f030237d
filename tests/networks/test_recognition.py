"""Face embedders: ArcFace's tensor names and crop, FaceNet through its package, gradients, one protocol."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from rusr_core import zoo
from rusr_core.networks.recognition import ArcFace, FaceNet, IdentityError, crop_face


def random_state(net: nn.Module, seed: int = 0) -> dict[str, torch.Tensor]:
    """Weights for the shapes of a network, sensible running statistics, whole-number counters as files have them."""
    draw = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            state[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            state[name] = torch.rand(tensor.shape, generator=draw) + 0.5
        elif tensor.ndim > 1:
            state[name] = torch.randn(tensor.shape, generator=draw) / tensor[0].numel() ** 0.5
        else:
            state[name] = 1 + 0.1 * torch.randn(tensor.shape, generator=draw)
    return state


@pytest.fixture(scope="module")
def arcface_state():
    with torch.device("meta"):
        net = ArcFace()
    return random_state(net)


@pytest.fixture(scope="module")
def facenet_state():
    with torch.device("meta"):
        net = FaceNet().net
    return random_state(net) | {"logits.weight": torch.zeros(8631, 512), "logits.bias": torch.zeros(8631)}


def images(num: int = 2, side: int = 64) -> torch.Tensor:
    return torch.rand(num, 3, side, side, generator=torch.Generator().manual_seed(3))


def test_arcface_has_the_published_tensor_names(arcface_state):
    """Names and shapes of model_ir_se50.pth, as specified from the published code."""
    names = set(arcface_state)
    for name, shape in {
        "input_layer.0.weight": (64, 3, 3, 3),
        "input_layer.1.running_var": (64,),
        "input_layer.2.weight": (64,),
        "body.0.res_layer.0.weight": (64,),
        "body.0.res_layer.1.weight": (64, 64, 3, 3),
        "body.0.res_layer.5.fc1.weight": (4, 64, 1, 1),
        "body.3.shortcut_layer.0.weight": (128, 64, 1, 1),
        "body.7.res_layer.3.weight": (256, 256, 3, 3),
        "body.21.shortcut_layer.1.bias": (512,),
        "body.23.res_layer.5.fc2.weight": (512, 32, 1, 1),
        "output_layer.0.weight": (512,),
        "output_layer.3.weight": (512, 25088),
        "output_layer.3.bias": (512,),
        "output_layer.4.running_mean": (512,),
    }.items():
        assert tuple(arcface_state[name].shape) == shape, name
    shortcuts = {n.split(".")[1] for n in names if ".shortcut_layer.0" in n}
    assert shortcuts == {"3", "7", "21"} and "body.24.res_layer.0.weight" not in names
    assert sum(t.numel() for n, t in arcface_state.items() if "running" not in n and "num_batches" not in n) == 43797696


def test_arcface_layer_by_layer(arcface_state):
    """The network written a second time, as a sequence of functions on the tensors of the file."""
    s = arcface_state

    def norm(x, name):
        statistics = (s[f"{name}.running_mean"], s[f"{name}.running_var"])
        return F.batch_norm(x, *statistics, s[f"{name}.weight"], s[f"{name}.bias"])

    x = images(2, 112)
    h = F.conv2d(x * 2 - 1, s["input_layer.0.weight"], padding=1)
    h = F.prelu(norm(h, "input_layer.1"), s["input_layer.2.weight"])
    for i in range(24):
        stride, p = 2 if i in (0, 3, 7, 21) else 1, f"body.{i}.res_layer"
        if f"body.{i}.shortcut_layer.0.weight" in s:
            short = F.conv2d(h, s[f"body.{i}.shortcut_layer.0.weight"], stride=stride)
            short = norm(short, f"body.{i}.shortcut_layer.1")
        else:
            short = F.max_pool2d(h, 1, stride)
        h = F.conv2d(norm(h, f"{p}.0"), s[f"{p}.1.weight"], padding=1)
        h = F.conv2d(F.prelu(h, s[f"{p}.2.weight"]), s[f"{p}.3.weight"], stride=stride, padding=1)
        h = norm(h, f"{p}.4")
        gate = F.conv2d(F.adaptive_avg_pool2d(h, 1), s[f"{p}.5.fc1.weight"]).relu()
        h = h * F.conv2d(gate, s[f"{p}.5.fc2.weight"]).sigmoid() + short
    h = norm(h, "output_layer.0").flatten(1)
    expected = F.normalize(norm(F.linear(h, s["output_layer.3.weight"], s["output_layer.3.bias"]), "output_layer.4"))
    net = ArcFace.from_state(s)
    found = F.normalize(net.output_layer(net.body(net.input_layer(x * 2 - 1))))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


def test_the_crop_is_the_published_box():
    """Rows 35 to 222, columns 32 to 219 of 256 px; the same face at 1024 px; then 112 px by averaging."""
    x = images(1, 256)
    assert torch.equal(crop_face(x, 188), x[:, :, 35:223, 32:220])
    torch.testing.assert_close(crop_face(x, 112), F.adaptive_avg_pool2d(x[:, :, 35:223, 32:220], 112))
    large = x.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(crop_face(large, 112), crop_face(x, 112))
    assert crop_face(images(1, 128), 112).shape == (1, 3, 112, 112)
    for wrong in (
        torch.zeros(1, 3, 64, 32),
        torch.zeros(3, 64, 64),
        torch.zeros(1, 1, 64, 64),
        images(1, 16),
    ):
        with pytest.raises(IdentityError, match="FFHQ-aligned"):
            crop_face(wrong, 112)


def check_protocol(net, side: int = 64) -> None:
    """[N, E] of unit norm, the same alone and in a batch, frozen, a gradient at every pixel of the face."""
    x = images(2, side).requires_grad_()
    e = net.embed(x)
    assert e.shape[0] == 2 and e.ndim == 2
    torch.testing.assert_close(e.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(net.embed(x[:1]), e[:1], rtol=0, atol=1e-5)
    (gradient,) = torch.autograd.grad((e[:, :3] * torch.tensor([1.0, -2.0, 3.0])).sum(), x)
    assert torch.isfinite(gradient).all() and crop_face(gradient.abs(), 8).min() > 0
    assert not any(p.requires_grad for p in net.parameters()) and not net.training


@pytest.mark.slow
def test_arcface_from_its_file(arcface_state, tmp_path):
    torch.save(arcface_state, tmp_path / "model_ir_se50.pth")
    net = zoo.load_identity(tmp_path / "model_ir_se50.pth")
    assert isinstance(net, ArcFace)
    check_protocol(net)


@pytest.mark.slow
def test_facenet_from_its_file(facenet_state, tmp_path):
    """Against the package's own network, which loads the same tensors, on the input that the package asks for."""
    from facenet_pytorch import InceptionResnetV1

    torch.save(facenet_state, tmp_path / "20180402-114759-vggface2.pt")
    net = zoo.load_identity(tmp_path / "20180402-114759-vggface2.pt")
    assert isinstance(net, FaceNet)
    check_protocol(net)
    with torch.random.fork_rng(devices=[]):
        reference = InceptionResnetV1(pretrained=None).eval()
    reference.load_state_dict({k: v for k, v in facenet_state.items() if "logits" not in k})
    x = images(1, 256)
    face = F.adaptive_avg_pool2d(x[:, :, 35:223, 32:220], 160)
    torch.testing.assert_close(net.embed(x), reference((face * 255 - 127.5) / 128), rtol=0, atol=1e-5)


def test_the_embedded_embedder_by_name():
    check_protocol(zoo.load_identity("portraits"), 128)


def test_wrong_weights(arcface_state, facenet_state, tmp_path):
    for change in ({"body.0.res_layer.1.weight": torch.zeros(64, 64, 1, 1)}, {"surprise": torch.zeros(1)}):
        with pytest.raises(IdentityError, match="ArcFace"):
            ArcFace.from_state(arcface_state | change)
    torch.save({"features.0.weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(zoo.ZooError, match="neither ArcFace IR-SE50 nor FaceNet"):
        zoo.load_identity(tmp_path / "other.pth")
    with pytest.raises(zoo.ZooError, match="supply a path"):
        zoo.load_identity("arcface")
    with pytest.raises(zoo.ZooError, match="'curricularface' is neither"):
        zoo.load_identity("curricularface")


@pytest.mark.slow
def test_importing_touches_no_network():
    """Not this package's modules, nor facenet_pytorch, nor building the network from it."""
    code = """
import sys
sys.addaudithook(lambda e, a: e in ("socket.connect", "socket.getaddrinfo") and sys.exit(f"network: {e} {a}"))
import rusr_core.networks.recognition, rusr_core.priors, facenet_pytorch, torch
with torch.device("meta"):
    rusr_core.networks.recognition.FaceNet()
print("quiet")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "quiet", done.stderr[-500:]
