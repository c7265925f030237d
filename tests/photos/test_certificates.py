"""Whose key may sign: chains made by OpenSSL, in its layouts; what does not fit is one line before the work begins."""

import base64
import json
import shutil
import subprocess

import pytest
from conftest import PORTRAIT, failure, run

from rusr_core.images import load_image, save_image
from rusr_core.photos.certificates import CredentialsError, read_signer
from rusr_core.photos.credentials import SETTINGS, load_signer, read_credentials, signed
from rusr_core.photos.marks import SOURCE_TYPE

c2pa = pytest.importorskip("c2pa", reason="c2pa-python is not installed")  # brings cryptography
from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import dsa, ec  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, load_pem_private_key  # noqa: E402
from pem_files import PEM, PKCS8, certificate, files  # noqa: E402

DER = Encoding.DER

OPENSSL = shutil.which("openssl")
PURPOSES = {"emailProtection": "e-mail", "1.3.6.1.5.5.7.3.36": "documents", "1.3.6.1.4.1.62558.2.1": "claims"}
AUTHORITY = """[v]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
"""
OWN = """[v]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage={}
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid,issuer
"""


def openssl_chain(folder, purpose: str) -> None:
    """`chain.pem` and `key.pem` as somebody would make them; `authority.pem` is who vouches for them."""

    def openssl(words: str) -> None:
        subprocess.run([OPENSSL, *words.split()], cwd=folder, check=True, capture_output=True)

    (folder / "authority.cnf").write_text("[req]\ndistinguished_name=d\nx509_extensions=v\n[d]\n" + AUTHORITY)
    (folder / "own.cnf").write_text(OWN.format(purpose))
    openssl("ecparam -name prime256v1 -genkey -noout -out authority.key")
    openssl(
        "req -new -x509 -key authority.key -sha256 -days 2 -subj /O=Authority -out authority.pem -config authority.cnf"
    )
    openssl("ecparam -name prime256v1 -genkey -noout -out key.pem")  # SEC 1, not PKCS 8
    openssl("req -new -key key.pem -subj /O=House/CN=Ada -out own.csr")
    openssl("x509 -req -in own.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 1 -sha256 "
            "-extfile own.cnf -extensions v -out own.pem")  # fmt: skip
    (folder / "chain.pem").write_bytes((folder / "own.pem").read_bytes() + (folder / "authority.pem").read_bytes())


@pytest.mark.skipif(OPENSSL is None, reason="openssl makes the test's certificates")
@pytest.mark.parametrize("purpose", PURPOSES, ids=PURPOSES.values())
def test_a_restored_picture_that_a_chain_of_openssl_signs(purpose, tmp_path, searches, monkeypatch, capsys):
    """Read back by c2pa's own reader: who made it, from what, and that nothing was changed since."""
    openssl_chain(tmp_path, purpose)
    monkeypatch.chdir(tmp_path)
    words = ("--degradation", "downsample:2", "--sign", "chain.pem", "key.pem")
    assert run("degrade", PORTRAIT, "small.png", *words[:2]) == 0
    assert run("restore", "small.png", "restored.png", *words) == 0
    manifest, state, codes = whole(tmp_path / "restored.png", {})
    assert state == "Valid" and codes["failure"] == ["signingCredential.untrusted"]
    assert {"claimSignature.validated", "assertion.dataHash.match", "assertion.hashedURI.match"} <= set(
        codes["success"]
    )
    assert manifest["claim_generator_info"][0]["name"] == "rusr" and manifest["signature_info"]["alg"] == "Es256"
    assert [one["title"] for one in manifest["ingredients"]] == ["small.png"]
    opened, edited = manifest["assertions"][0]["data"]["actions"]
    assert (opened["action"], edited["action"], edited["digitalSourceType"]) == (
        "c2pa.opened",
        "c2pa.edited",
        SOURCE_TYPE,
    )
    assert json.loads(edited["parameters"]["rusr"])["degradation"] == "downsample:2"
    _, state, codes = whole(tmp_path / "restored.png", {"trust_anchors": (tmp_path / "authority.pem").read_text()})
    assert state == "Trusted" and codes["failure"] == []
    picture = load_image("restored.png")
    picture[..., 0, 0] = 1 - picture[..., 0, 0]
    assert "(assertion.dataHash.mismatch)" in altered(tmp_path / "restored.png", picture)


def whole(path, trust: dict) -> tuple[dict, str, dict]:
    """A picture's manifest, whether it is valid, and C2PA's codes of what is right and wrong."""
    settings = {"trust": SETTINGS["trust"] | trust}
    with (
        c2pa.Context(settings=c2pa.Settings.from_dict(settings)) as context,
        c2pa.Reader(path, context=context) as reader,
    ):
        results = reader.get_validation_results()["activeManifest"]
        codes = {kind: [one["code"] for one in results[kind]] for kind in ("success", "failure")}
        return reader.get_active_manifest(), reader.get_validation_state(), codes


def altered(path, picture) -> str:
    """What is said of the manifest of the picture in `path` when it is put into another picture."""
    data = path.read_bytes()
    begin = data.index(b"caBX") - 4  # the chunk of the manifest: length, name, content, checksum
    manifest = data[begin : begin + 12 + int.from_bytes(data[begin : begin + 4], "big")]
    other = save_image(picture, path.with_name("other.png"))
    plain = other.read_bytes()
    other.write_bytes(plain[:33] + manifest + plain[33:])  # behind the header
    return read_credentials(other)


@pytest.fixture
def pem(tmp_path):
    """A good chain, its key, and the two certificates of the chain."""
    chain, key = files(tmp_path, ec.generate_private_key(ec.SECP256R1()))
    return chain, key, x509.load_pem_x509_certificates(chain.read_bytes())


def test_layouts_that_are_read_alike(pem):
    chain, key, _ = pem
    expected = read_signer(chain, key)
    plain, secret = chain.read_bytes(), key.read_bytes()
    for certificates, private in (
        (plain.replace(b"\n", b"\r\n"), secret.replace(b"\n", b"\r\n")),
        (b"\xef\xbb\xbf" + plain, b"\xef\xbb\xbf" + secret),  # as Windows marks UTF-8
        (b"Bag Attributes\n  friendlyName: Ada\n" + plain, secret),
        (plain + secret, plain + secret),  # all in one file
    ):
        chain.write_bytes(certificates)
        key.write_bytes(private)
        assert read_signer(chain, key) == expected
    path = save_image(load_image(PORTRAIT), chain.with_name("x.png"))
    path.write_bytes(signed(path.read_bytes(), path, {}, None, load_signer(chain, key)))
    assert read_credentials(path).startswith("valid, signed by Ada,")


def test_an_older_header_is_read_alike(pem):
    chain, key, _ = pem
    expected = read_signer(chain, key)
    chain.write_bytes(chain.read_bytes().replace(b" CERTIFICATE-", b" X509 CERTIFICATE-"))
    assert read_signer(chain, key) == expected


def test_certificates_that_are_damaged_inside(pem):
    """What is read late: a name that is no text, and an extension that is there twice."""
    chain, key, (own, authority) = pem
    der = own.public_bytes(DER).replace(b"\x0c\x03Ada", b"\x0c\x03\xff\xfe\xfd")
    damaged = b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    chain.write_bytes(damaged + authority.public_bytes(PEM))
    with pytest.raises(CredentialsError, match="chain.pem: certificate 1 is damaged"):
        read_signer(chain, key)
    above = ec.generate_private_key(ec.SECP256R1())
    secret = load_pem_private_key(key.read_bytes(), None)
    purpose = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    builder = x509.CertificateBuilder(authority.subject, own.subject, secret.public_key(), 1, extensions=[purpose] * 2)
    twice = builder.not_valid_before(own.not_valid_before_utc).not_valid_after(own.not_valid_after_utc)
    chain.write_bytes(twice.sign(above, hashes.SHA256()).public_bytes(PEM))
    with pytest.raises(CredentialsError, match=r"the extensions of CN=Ada,O=Ada cannot be read \(Duplicate"):
        read_signer(chain, key)


def test_chains_that_cannot_sign(pem):
    chain, key, (own, authority) = pem
    stranger = ec.generate_private_key(ec.SECP256R1())
    foreign = certificate("Eve", stranger.public_key(), "Eve", stranger, True)
    for content, words in (
        ((authority, own), "the key's own certificate is number 2; expected it first"),
        ((own, foreign), r"certificate 1 \(CN=Ada,O=Ada\) is not issued by certificate 2 \(CN=Eve,O=Eve\)"),
        ((own, own), "is not issued by certificate 2"),
        ((foreign,), "key.pem: is not the key of the certificate .*chain.pem"),
    ):
        chain.write_bytes(b"".join(one.public_bytes(PEM) for one in content))
        with pytest.raises(CredentialsError, match=words):
            load_signer(chain, key)
    chain.write_bytes(own.public_bytes(PEM) + authority.public_bytes(PEM)[:200])
    with pytest.raises(CredentialsError, match="chain.pem: only 1 of its 2 certificates can be read"):
        load_signer(chain, key)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"days": (-9, -2)}, r"the certificate of CN=Ada,O=Ada expired on \d{4}-\d\d-\d\d"),
        ({"days": (2, 9)}, r"the certificate of CN=Ada,O=Ada is not valid before \d{4}-\d\d-\d\d"),
        (
            {"purpose": x509.ExtendedKeyUsageOID.SERVER_AUTH},
            r"states 1.3.6.1.5.5.7.3.1; expected .* e-mail protection \(1.3.6.1.5.5.7.3.4\), document signing",
        ),
    ],
    ids=["expired", "not-yet", "server"],
)
def test_certificates_that_may_not_sign_stop_the_command(options, words, tmp_path, searches, capsys):
    chain, key = files(tmp_path, ec.generate_private_key(ec.SECP256R1()), **options)
    out = tmp_path / "restored.png"
    said = failure(capsys, "restore", PORTRAIT, out, "--degradation", "identity", "--sign", chain, key)
    assert "chain.pem: the certificate" in said
    with pytest.raises(CredentialsError, match=words):
        load_signer(chain, key)
    assert not searches and not out.exists() and not out.with_suffix(".json").exists()


def test_a_key_of_a_kind_that_c2pa_does_not_know(pem):
    chain, key, _ = pem
    for secret in (dsa.generate_private_key(1024), ec.generate_private_key(ec.SECP256K1())):
        key.write_bytes(secret.private_bytes(PEM, PKCS8, NoEncryption()))
        with pytest.raises(CredentialsError, match="key.pem: C2PA knows no such key; expected P-256"):
            load_signer(chain, key)
    key.unlink()
    with pytest.raises(CredentialsError, match=r"key.pem: cannot be read \(No such file"):
        load_signer(chain, key)
