"""Content Credentials: a signed manifest in a picture that says what it was made from, how, and by whose key.

Coalition for Content Provenance and Authenticity (C2PA), Technical Specification 2, written by its own library
c2pa-python (`rusr[c2pa]`) with a person's own certificate. Nothing is sent anywhere: there is no time stamp of a
third party, and whether the certificate is trusted is for the reader to say.
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from PIL import Image

import rusr_core
from rusr_core.decoding import READABLE, unlimited
from rusr_core.errors import RusrError
from rusr_core.images import WRITABLE
from rusr_core.photos.marks import SOURCE_TYPE, lasting

MIME = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp", "TIFF": "image/tiff"}
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}  # C2PA 2, section 13.2
SETTINGS = {"builder": {"thumbnail": {"enabled": False}}}  # a hundred times as large as a small picture


class CredentialsError(RusrError):
    """A certificate or a key that cannot sign, or a picture that cannot be signed."""


@dataclass(frozen=True)
class Signer:
    """A person's own certificate and key."""

    certificates: bytes  # PEM, the signer's own first, then those that vouch for it
    key: bytes  # PEM, PKCS 8, without a password
    algorithm: str  # as C2PA names it: "es256", ..., "ps256", "ed25519"


def load_signer(certificates: Path, key: Path) -> Signer:
    """The certificate and the key in two PEM files, which have signed a picture of one colour for a trial.

    Raises CredentialsError: no such file, no PEM, a key with a password or of another certificate, a certificate that
    C2PA does not allow to sign, or c2pa-python not installed.
    """
    _library()
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    chain, private = _bytes(certificates), _bytes(key)
    try:
        own = x509.load_pem_x509_certificates(chain)[0]
    except ValueError:
        raise CredentialsError(f"{certificates}: no certificate; expected a PEM file, the signer's own first") from None
    try:
        secret = load_pem_private_key(private, password=None)
    except (ValueError, TypeError):  # TypeError: it has a password
        raise CredentialsError(f"{key}: no usable key; expected a PEM file without a password") from None
    if secret.public_key() != own.public_key():
        raise CredentialsError(f"{key}: is not the key of the certificate {certificates}")
    signer = Signer(chain, private, _algorithm(key, secret))
    trial = io.BytesIO()
    Image.new("RGB", (8, 8)).save(trial, "PNG")
    try:
        signed(trial.getvalue(), Path("trial.png"), {}, None, signer)
    except CredentialsError as error:
        raise CredentialsError(f"{certificates}: cannot sign ({error})") from None
    return signer


def signed(data: bytes, path: Path, record: dict[str, object], source: Path | None, signer: Signer) -> bytes:
    """The picture file `data`, whose suffix is that of `path`, with its Content Credentials.

    They name the program, IPTC's digital source type and the `record`, and hold the picture `source` as what it was
    made from, with the credentials that it has, where its format may have any. Raises CredentialsError.
    """
    c2pa, kind = _library(), MIME.get(WRITABLE[path.suffix.lower()])
    if kind is None:
        raise CredentialsError(f"{path}: cannot hold Content Credentials; expected PNG, JPEG, WebP or TIFF")
    parent = None if source is None else _kind_of(source)
    program = {"name": "rusr", "version": rusr_core.__version__}
    action = {"action": "c2pa.created" if parent is None else "c2pa.edited", "softwareAgent": program,
              "digitalSourceType": SOURCE_TYPE, "parameters": {"rusr": json.dumps(lasting(record))}}  # fmt: skip
    assertions = [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]
    manifest = {"claim_generator_info": [program], "title": path.name, "assertions": assertions}
    info = c2pa.C2paSignerInfo(signer.algorithm.encode(), signer.certificates, signer.key, None)
    result = io.BytesIO()
    try:
        with (
            c2pa.Context(settings=c2pa.Settings.from_dict(SETTINGS)) as context,
            c2pa.Signer.from_info(info) as own,
            c2pa.Builder(manifest, context=context) as builder,
        ):
            if parent is not None:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
                with open(source, "rb") as file:
                    builder.add_ingredient({"title": source.name, "relationship": "parentOf"}, parent, file)
            builder.sign(own, kind, io.BytesIO(data), result)
    except (c2pa.C2paError, OSError) as error:
        raise CredentialsError(f"{path}: cannot be signed ({' '.join(str(error).split())})") from None
    return result.getvalue()


def read_credentials(path: Path) -> str | None:
    """What the Content Credentials in a picture say of themselves; None if it has none.

    "valid", or "trusted" if the reader's settings know the certificate, and who signed. Raises CredentialsError.
    """
    c2pa, kind = _library(), _kind_of(path)
    if kind is None:
        return None
    try:
        reader = c2pa.Reader.try_create(kind, io.BytesIO(_bytes(path)))
        if reader is None:
            return None
        with reader:
            state = str(reader.get_validation_state()).lower()
            about = reader.get_active_manifest() or {}
    except c2pa.C2paError as error:
        raise CredentialsError(f"{path}: its Content Credentials cannot be read ({error})") from None
    signature = about.get("signature_info", {})
    who = signature.get("common_name") or signature.get("issuer") or "somebody without a name"
    return f"{state}, signed by {who}"


def _library() -> ModuleType:
    try:
        import c2pa
    except ImportError as error:
        raise CredentialsError("Content Credentials need the package c2pa-python: pip install 'rusr[c2pa]'") from error
    return c2pa


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"{path}: cannot be read ({error.strerror})") from None


def _kind_of(path: Path) -> str | None:
    """The MIME type of a picture in whose format Content Credentials have a place, whatever its suffix."""
    try:
        with unlimited(), Image.open(path, formats=READABLE) as picture:
            return MIME.get(picture.format)
    except OSError:
        return None


def _algorithm(path: Path, secret: object) -> str:
    """C2PA's name of what a private key signs with."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(secret, ec.EllipticCurvePrivateKey) and secret.curve.name in CURVES:
        return CURVES[secret.curve.name]
    if isinstance(secret, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(secret, rsa.RSAPrivateKey):
        return "ps256"
    raise CredentialsError(f"{path}: C2PA knows no such key; expected P-256, P-384, P-521, Ed25519 or RSA")
