"""A person's own certificates and key, as files hold them: whether they belong together, and may sign.

For Content Credentials (C2PA, Technical Specification 2) the signer's certificate comes first, then each one's
issuer; it is valid now, and states one of the purposes in `PURPOSES`.
"""

import codecs
import datetime
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rusr_core.errors import RusrError

if TYPE_CHECKING:  # an extra, which is not always there
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}  # C2PA 2, section 13.2
PURPOSES = {
    "1.3.6.1.5.5.7.3.4": "e-mail protection",
    "1.3.6.1.5.5.7.3.36": "document signing",
    "1.3.6.1.4.1.62558.2.1": "C2PA claim signing",
}  # RFC 5280, RFC 9336 and C2PA's own
BEGIN = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")


class CredentialsError(RusrError):
    """A certificate or a key that cannot sign, or a picture that cannot be signed."""


@dataclass(frozen=True)
class Signer:
    """A person's own certificate and key."""

    certificates: bytes  # PEM, the signer's own first, then those that vouch for it
    key: bytes  # PEM, PKCS 8, without a password
    algorithm: str  # as C2PA names it: "es256", ..., "ps256", "ed25519"


def read_signer(certificates: Path, key: Path) -> Signer:
    """The certificates and the key in two PEM files, one of the layouts of OpenSSL, with any ends of line.

    Raises CredentialsError: no such file, no PEM, a key with a password, of a kind that C2PA does not know or of
    another certificate, certificates in another order, not valid now or for another purpose.
    """
    from cryptography.hazmat.primitives import serialization

    chain, secret = _chain(certificates), _key(key)
    algorithm = _algorithm(key, secret)
    _check_order(certificates, key, chain, secret)
    _check_validity(certificates, chain)
    _check_purpose(certificates, chain[0])
    pem = serialization.Encoding.PEM
    private = secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Signer(b"".join(one.public_bytes(pem) for one in chain), private, algorithm)


def bytes_of(path: Path) -> bytes:
    """A file's content. Raises CredentialsError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"{path}: cannot be read ({error.strerror})") from None


def _chain(path: Path) -> list["Certificate"]:
    """All certificates of a PEM file, in its order."""
    from cryptography import x509

    data = bytes_of(path).removeprefix(codecs.BOM_UTF8)
    try:
        chain = x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion):
        raise CredentialsError(f"{path}: no certificate; expected a PEM file, the signer's own first") from None
    if len(chain) != (begun := len(BEGIN.findall(data))):
        raise CredentialsError(f"{path}: only {len(chain)} of its {begun} certificates can be read")
    for i, one in enumerate(chain, 1):
        try:
            one.subject, one.issuer  # noqa: B018  (read here for the first time)
        except ValueError as error:
            raise CredentialsError(f"{path}: certificate {i} is damaged ({error})") from None
    return chain


def _key(path: Path) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = bytes_of(path).removeprefix(codecs.BOM_UTF8)
    try:
        return load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        raise CredentialsError(f"{path}: no usable key; expected a PEM file without a password") from None


def _check_order(path: Path, key: Path, chain: list["Certificate"], secret: "PrivateKeyTypes") -> None:
    """Whether the first certificate is that of the key, and each is vouched for by the next."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    places = [i for i, one in enumerate(chain, 1) if _is_of(one, secret)]
    if not places:
        raise CredentialsError(f"{key}: is not the key of the certificate {path}")
    if places[0] > 1:
        raise CredentialsError(f"{path}: the key's own certificate is number {places[0]}; expected it first")
    if chain[0].issuer == chain[0].subject:
        raise CredentialsError(
            f"{path}: {_name(chain[0])} vouches for itself; expected an authority's certificate for it"
        )
    for i, (one, issuer) in enumerate(zip(chain, chain[1:], strict=False), 1):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            words = f"certificate {i} ({_name(one)}) is not issued by certificate {i + 1} ({_name(issuer)})"
            raise CredentialsError(f"{path}: {words}; expected the signer's own, then each one's issuer") from None


def _is_of(certificate: "Certificate", secret: "PrivateKeyTypes") -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return certificate.public_key() == secret.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return False


def _check_validity(path: Path, chain: list["Certificate"]) -> None:
    now = datetime.datetime.now(datetime.UTC)
    for one in chain:
        if now > one.not_valid_after_utc:
            raise CredentialsError(
                f"{path}: the certificate of {_name(one)} expired on {one.not_valid_after_utc:%Y-%m-%d}"
            )
        if now < one.not_valid_before_utc:
            first = f"{one.not_valid_before_utc:%Y-%m-%d}"
            raise CredentialsError(f"{path}: the certificate of {_name(one)} is not valid before {first}")


def _check_purpose(path: Path, own: "Certificate") -> None:
    from cryptography import x509

    try:
        stated = own.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        stated = []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise CredentialsError(f"{path}: the extensions of {_name(own)} cannot be read ({error})") from None
    oids = [purpose.dotted_string for purpose in stated]
    if not any(oid in PURPOSES for oid in oids):
        wanted = ", ".join(f"{name} ({oid})" for oid, name in PURPOSES.items())
        have = ", ".join(oids) or "no purpose"
        raise CredentialsError(f"{path}: the certificate states {have}; expected an extended key usage of {wanted}")


def _name(certificate: "Certificate") -> str:
    return certificate.subject.rfc4514_string() or "somebody without a name"


def _algorithm(path: Path, secret: "PrivateKeyTypes") -> str:
    """C2PA's name of what a private key signs with."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(secret, ec.EllipticCurvePrivateKey) and secret.curve.name in CURVES:
        return CURVES[secret.curve.name]
    if isinstance(secret, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(secret, rsa.RSAPrivateKey):
        return "ps256"
    raise CredentialsError(f"{path}: C2PA knows no such key; expected P-256, P-384, P-521, Ed25519 or RSA")
