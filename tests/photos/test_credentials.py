"""Content Credentials: read by C2PA's own library, broken by a changed byte, refused with keys that cannot sign."""

import json

import pytest
import torch
from conftest import PORTRAIT, run
from PIL import Image

from rusr_core.images import load_image, read_metadata, save_image
from rusr_core.photos.credentials import CredentialsError, load_signer, read_credentials, signed
from rusr_core.photos.marks import SOURCE_TYPE

c2pa = pytest.importorskip("c2pa", reason="c2pa-python is not installed")  # brings cryptography
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402
from pem_files import PEM, PKCS8, certificate, files  # noqa: E402

VALID = "valid, signed by Ada, for whom nobody vouches whom this reader knows"


@pytest.fixture
def ada(tmp_path):
    (tmp_path / "ada").mkdir()
    return files(tmp_path / "ada", ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_what_is_signed_is_read_by_the_librarys_reader(suffix, ada, tmp_path):
    path, record = tmp_path / f"x{suffix}", {"seed": 3, "misfit": [0.25], "seconds": 1.0}
    plain = save_image(load_image(PORTRAIT), tmp_path / f"plain{suffix}").read_bytes()
    path.write_bytes(signed(plain, path, record, PORTRAIT, load_signer(*ada)))
    assert read_credentials(path) == VALID
    assert torch.equal(load_image(path), load_image(tmp_path / f"plain{suffix}"))
    with c2pa.Reader(str(path)) as reader:
        manifest, state = reader.get_active_manifest(), reader.get_validation_results()
    assert [one["code"] for one in state["activeManifest"]["failure"]] == ["signingCredential.untrusted"]
    (parent,) = manifest["ingredients"]
    assert (parent["title"], parent["relationship"]) == ("000.png", "parentOf")
    actions = {one["action"]: one for one in manifest["assertions"][0]["data"]["actions"]}
    assert actions["c2pa.edited"]["digitalSourceType"] == SOURCE_TYPE and "c2pa.opened" in actions
    assert json.loads(actions["c2pa.edited"]["parameters"]["rusr"]) == {"seed": 3, "misfit": [0.25]}


def test_one_changed_byte_breaks_them(ada, tmp_path):
    path = save_image(load_image(PORTRAIT), tmp_path / "x.bmp").with_suffix(".png")
    save_image(load_image(PORTRAIT), path)
    assert read_credentials(path) is None
    data = bytearray(signed(path.read_bytes(), path, {}, None, load_signer(*ada)))
    data[-100] ^= 1
    path.write_bytes(data)
    assert read_credentials(path) == "invalid (assertion.dataHash.mismatch), signed by Ada"
    with pytest.raises(CredentialsError, match="PNG, JPEG, WebP or TIFF"):
        signed(path.with_suffix(".bmp").read_bytes(), path.with_suffix(".bmp"), {}, None, load_signer(*ada))


@pytest.mark.parametrize("kind", ["p384", "ed25519", "rsa"])
def test_other_keys(kind, tmp_path):
    makers = {"p384": lambda: ec.generate_private_key(ec.SECP384R1()), "ed25519": ed25519.Ed25519PrivateKey.generate}
    makers["rsa"] = lambda: rsa.generate_private_key(65537, 2048)
    signer = load_signer(*files(tmp_path, makers[kind]()))
    assert signer.algorithm == {"p384": "es384", "ed25519": "ed25519", "rsa": "ps256"}[kind]


def test_keys_that_cannot_sign(ada, tmp_path):
    chain, key = ada
    with pytest.raises(CredentialsError, match="none.pem: cannot be read"):
        load_signer(tmp_path / "none.pem", key)
    with pytest.raises(CredentialsError, match="key.pem: no certificate"):
        load_signer(key, key)
    with pytest.raises(CredentialsError, match="chain.pem: no usable key"):
        load_signer(chain, chain)
    other = files(tmp_path, ec.generate_private_key(ec.SECP256R1()), b"secret")
    with pytest.raises(CredentialsError, match="without a password"):
        load_signer(*other)
    foreign = files(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(CredentialsError, match="is not the key of the certificate"):
        load_signer(chain, foreign[1])
    authority = ec.generate_private_key(ec.SECP256R1())
    own = certificate("Authority", authority.public_key(), "Authority", authority, True)
    (tmp_path / "chain.pem").write_bytes(own.public_bytes(PEM))
    (tmp_path / "key.pem").write_bytes(authority.private_bytes(PEM, PKCS8, serialization.NoEncryption()))
    with pytest.raises(CredentialsError, match="CN=Authority,O=Authority vouches for itself; expected an authority"):
        load_signer(tmp_path / "chain.pem", tmp_path / "key.pem")


def test_the_command_signs_and_shows_it(ada, tmp_path, searches, capsys):
    out = tmp_path / "out.png"
    assert run("restore", PORTRAIT, out, "--degradation", "identity", "--sign", *ada) == 0
    assert read_credentials(out) == VALID and read_metadata(out) is not None
    capsys.readouterr()
    assert run("show", out) == 0 and f"credentials  {VALID}\n" in capsys.readouterr().out
    words = ("restore", PORTRAIT, tmp_path / "b.png", "--degradation", "identity", "--sign", *ada)
    assert run(*words, "--no-mark") == 2 and "--no-mark leaves out" in capsys.readouterr().err
    assert run("restore", PORTRAIT, tmp_path / "b.bmp", *words[3:]) == 2
    assert "cannot hold Content Credentials" in capsys.readouterr().err
    assert not (tmp_path / "b.png").exists() and not (tmp_path / "b.bmp").exists()


def test_a_source_of_another_format_is_named_in_the_record_only(ada, tmp_path):
    Image.open(PORTRAIT).save(tmp_path / "in.bmp")
    path = save_image(load_image(PORTRAIT), tmp_path / "x.png")
    path.write_bytes(signed(path.read_bytes(), path, {}, tmp_path / "in.bmp", load_signer(*ada)))
    with c2pa.Reader(str(path)) as reader:
        manifest = reader.get_active_manifest()
    assert read_credentials(path) == VALID and not manifest.get("ingredients")
