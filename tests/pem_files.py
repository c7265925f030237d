"""Certificates and keys for tests, made anew each time."""

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

EMAIL = x509.ExtendedKeyUsageOID.EMAIL_PROTECTION
PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8


def certificate(
    name: str, public: object, issuer: str, key: object, authority: bool, *, days: tuple[int, int] = (-1, 1),
    purpose: x509.ObjectIdentifier = EMAIL,
) -> object:  # fmt: skip
    """A certificate as C2PA allows it, or the one of an authority, valid from and until so many days from now."""
    now = datetime.datetime.now(datetime.UTC)
    subject, by = (
        x509.Name(
            [
                x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, word),
                x509.NameAttribute(x509.NameOID.COMMON_NAME, word),
            ]
        )
        for word in (name, issuer)
    )
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= {"digital_signature": not authority, "key_cert_sign": authority, "crl_sign": authority}
    made = (
        x509.CertificateBuilder(by, subject, public, x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(x509.KeyUsage(**usage, encipher_only=False, decipher_only=False), True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
    )
    if not authority:
        made = made.add_extension(x509.ExtendedKeyUsage([purpose]), False)
    return made.sign(key, hashes.SHA256())


def files(folder: Path, key: object, password: bytes | None = None, **options: object) -> tuple[Path, Path]:
    """The PEM files of a chain that vouches for a key, and of the key; `options` of its `certificate`."""
    above = ec.generate_private_key(ec.SECP256R1())
    chain = (certificate("Ada", key.public_key(), "Authority", above, False, **options),
             certificate("Authority", above.public_key(), "Authority", above, True))  # fmt: skip
    (folder / "chain.pem").write_bytes(b"".join(one.public_bytes(PEM) for one in chain))
    how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(PEM, PKCS8, how))
    return folder / "chain.pem", folder / "key.pem"
