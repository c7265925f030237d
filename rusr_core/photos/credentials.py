"""Content Credentials: a signed manifest in a picture that says what it was made from, how, and by whose key.

Coalition for Content Provenance and Authenticity (C2PA), Technical Specification 2, written by its own library
c2pa-python (`rusr[c2pa]`) with a person's own certificate. Nothing is sent anywhere: there is no time stamp of a
third party, and whether the certificate is trusted is for the reader to say.
"""

import io
import json
from pathlib import Path
from types import ModuleType

from PIL import Image

import rusr_core
from rusr_core.decoding import READABLE, unlimited
from rusr_core.images import WRITABLE
from rusr_core.photos.certificates import PURPOSES, CredentialsError, Signer, bytes_of, read_signer
from rusr_core.photos.marks import SOURCE_TYPE, lasting

MIME = {"PNG": "image/png", "JPEG": "image/jpeg", "MPO": "image/jpeg", "WEBP": "image/webp", "TIFF": "image/tiff"}
OTHERS = ("1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.9", "1.3.6.1.4.1.311.76.59.1.9")  # of readers: time, OCSP, Microsoft
UNTRUSTED = "signingCredential.untrusted"  # alone, this makes nothing invalid
SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},  # a hundred times as large as a small picture
    "trust": {"trust_config": "\n".join([*PURPOSES, *OTHERS])},  # without this, e-mail protection alone may sign
}


def load_signer(certificates: Path, key: Path) -> Signer:
    """The certificates and the key in two PEM files, which have signed a picture of one colour for a trial.

    Raises CredentialsError: what `read_signer` raises, a certificate that C2PA does not allow to sign, or no package
    c2pa-python is installed.
    """
    _library()
    signer, trial = read_signer(certificates, key), io.BytesIO()
    Image.new("RGB", (8, 8)).save(trial, "PNG")
    try:
        _sign(trial.getvalue(), "image/png", _manifest("trial", {}, None), None, signer)
    except CredentialsError as error:
        raise CredentialsError(f"{certificates}: cannot sign ({error})") from None
    return signer


def signed(data: bytes, path: Path, record: dict[str, object], source: Path | None, signer: Signer) -> bytes:
    """The picture file `data`, whose suffix is that of `path`, with its Content Credentials.

    They name the program, IPTC's digital source type and the `record`, and hold the picture `source` as what it was
    made from, with the credentials that it has, where its format may have any. Raises CredentialsError.
    """
    kind = MIME.get(WRITABLE[path.suffix.lower()])
    if kind is None:
        raise CredentialsError(f"{path}: cannot hold Content Credentials; expected PNG, JPEG, WebP or TIFF")
    parent = None if source is None or _kind_of(source) is None else source
    try:
        return _sign(data, kind, _manifest(path.name, record, parent), parent, signer)
    except CredentialsError as error:
        raise CredentialsError(f"{path}: cannot be signed ({error})") from None


def _manifest(title: str, record: dict[str, object], parent: Path | None) -> dict[str, object]:
    """What is signed: which program did what to the picture `parent`, or made a picture by itself."""
    program = {"name": "rusr", "version": rusr_core.__version__}
    action = {"action": "c2pa.created" if parent is None else "c2pa.edited", "softwareAgent": program,
              "digitalSourceType": SOURCE_TYPE, "parameters": {"rusr": json.dumps(lasting(record))}}  # fmt: skip
    assertions = [{"label": "c2pa.actions.v2", "data": {"actions": [action]}}]
    return {"claim_generator_info": [program], "title": title, "assertions": assertions}


def _sign(data: bytes, kind: str, manifest: dict[str, object], parent: Path | None, signer: Signer) -> bytes:
    """The picture file `data` of a MIME type with its manifest. CredentialsError with the library's own words."""
    c2pa, result = _library(), io.BytesIO()
    info = c2pa.C2paSignerInfo(signer.algorithm.encode(), signer.certificates, signer.key, None)
    try:
        with (
            c2pa.Context(settings=c2pa.Settings.from_dict(SETTINGS)) as context,
            c2pa.Signer.from_info(info) as own,
            c2pa.Builder(manifest, context=context) as builder,
        ):
            if parent is not None:
                builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
                with open(parent, "rb") as file:
                    ingredient = {"title": parent.name, "relationship": "parentOf"}
                    builder.add_ingredient(ingredient, _kind_of(parent), file)
            builder.sign(own, kind, io.BytesIO(data), result)
    except (c2pa.C2paError, OSError) as error:
        raise CredentialsError(" ".join(str(error).split())) from None
    return result.getvalue()


def read_credentials(path: Path) -> str | None:
    """What the Content Credentials in a picture say of themselves; None if it has none.

    Who signed, and whether the reader's settings know those who vouch for that; or what is invalid, by C2PA's own
    words for it. Raises CredentialsError.
    """
    c2pa, kind = _library(), _kind_of(path)
    if kind is None:
        return None
    try:
        with c2pa.Context(settings=c2pa.Settings.from_dict(SETTINGS)) as context:
            reader = c2pa.Reader.try_create(kind, io.BytesIO(bytes_of(path)), context=context)
            if reader is None:
                return None
            with reader:
                state = str(reader.get_validation_state()).lower()
                results = reader.get_validation_results() or {}
                about = reader.get_active_manifest() or {}
    except c2pa.C2paError as error:
        raise CredentialsError(f"{path}: its Content Credentials cannot be read ({error})") from None
    signature = about.get("signature_info", {})
    who = signature.get("common_name") or signature.get("issuer") or "somebody without a name"
    if state == "valid":
        return f"valid, signed by {who}, for whom nobody vouches whom this reader knows"
    failed = dict.fromkeys(one["code"] for one in results.get("activeManifest", {}).get("failure", ()))
    wrong = ", ".join(code for code in failed if code != UNTRUSTED)
    return f"{state}{f' ({wrong})' if wrong else ''}, signed by {who}"


def _library() -> ModuleType:
    try:
        import c2pa
    except ImportError as error:
        raise CredentialsError("Content Credentials need the package c2pa-python: pip install 'rusr[c2pa]'") from error
    return c2pa


def _kind_of(path: Path) -> str | None:
    """The MIME type of a picture in whose format Content Credentials have a place, whatever its suffix."""
    try:
        with unlimited(), Image.open(path, formats=READABLE) as picture:
            return MIME.get(picture.format)
    except OSError:
        return None
