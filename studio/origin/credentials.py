"""Content Credentials (C2PA 2, https://spec.c2pa.org): a signed manifest in a file that says which program made it with
a trained model. Needs the extra `credentials`; nobody is asked over the network, neither for a time nor for trust.

The key is made here and stays in the home, so a reader sees that the file has not been changed since it was signed, and
that the signer is none that it knows: a mark of origin, not a proof of who.
"""

import datetime
import importlib.util
import io
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studio.errors import InvalidInput
from studio.marks import SOURCE_TYPE

FOLDER = "credentials"  # in the home: key.pem and chain.pem
SIGNED = ("image/png", "image/jpeg", "image/webp", "image/gif", "image/svg+xml", "video/mp4", "audio/wav", "audio/mpeg")
READ = (*SIGNED, "audio/flac", "application/pdf")
INSTALL = f'Install it: "{sys.executable}" -m pip install "c2pa-python>=0.38", then start again.'
YEARS = 10
OFFLINE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False}}


def available() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("c2pa") is not None


def signed(data: bytes, media_type: str, title: str, version: str, home: Path) -> bytes:
    """The same file with a manifest, signed with the home's own key. InvalidInput: no extra, or not such a file."""
    if not available():
        raise InvalidInput("Content Credentials need a library that is not installed.", INSTALL)
    if media_type not in SIGNED:
        raise InvalidInput(
            f"Files of {media_type} carry no Content Credentials.", f"Those that do: {', '.join(SIGNED)}."
        )
    import c2pa

    chain, key = _identity(home / FOLDER)
    signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo(alg=b"es256", sign_cert=chain, private_key=key, ta_url=None))
    made = io.BytesIO()
    try:
        c2pa.Builder(json.dumps(manifest(title, version))).sign(signer, media_type, io.BytesIO(data), made)
    except c2pa.C2paError as error:
        raise InvalidInput(f"The file could not be signed: {str(error)[:200]}", "Export it without.") from error
    return made.getvalue()


def manifest(title: str, version: str) -> Mapping[str, Any]:
    agent = {"name": "Atelier", "version": version}
    made = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE, "softwareAgent": agent}
    return {
        "claim_generator_info": [agent],
        "title": title[:200],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}}],
    }


def read(path: Path, media_type: str) -> Mapping[str, Any] | None:
    """{program, made_by_model, unchanged, known_signer, remarks} of a file's manifest; None where it has none or the
    extra is not installed.
    """
    if not available() or media_type not in READ:
        return None
    import c2pa

    alone = c2pa.Context(c2pa.Settings.from_dict(OFFLINE))
    try:
        with path.open("rb") as file, c2pa.Reader(media_type, file, context=alone) as reader:
            told = json.loads(reader.json())
    except c2pa.C2paError:
        return None
    claim = told.get("manifests", {}).get(told.get("active_manifest"), {})
    remarks = [str(one.get("code", "")) for one in told.get("validation_status", ())]
    makers = claim.get("claim_generator_info") or [{}]
    return {
        "program": " ".join(str(makers[0].get(name, "")) for name in ("name", "version")).strip(),
        "made_by_model": "trainedAlgorithmicMedia" in json.dumps(claim.get("assertions", ())),
        "unchanged": told.get("validation_state") in ("Valid", "Trusted"),
        "known_signer": "signingCredential.untrusted" not in remarks,
        "remarks": remarks,
    }


def _identity(folder: Path) -> tuple[bytes, bytes]:
    """(certificates, private key) as PEM; made at the first use, readable by the home's owner alone."""
    files = folder / "chain.pem", folder / "key.pem"
    if not all(file.is_file() for file in files):
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in zip(files, _made(), strict=True):
            file.unlink(missing_ok=True)
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                out.write(content)
    return files[0].read_bytes(), files[1].read_bytes()


def _made() -> tuple[bytes, bytes]:
    """A new key with a certificate of this home's own authority, as the specification wants a chain of at least two."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    own, root = "Atelier on this computer", "Atelier, this home's authority"
    chain = _certificate(own, key, root, authority) + _certificate(root, authority, root, authority)
    return chain, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _certificate(name: str, key: Any, issuer: str, authority: Any) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def named(common: str) -> x509.Name:
        parts = ((NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, "Atelier"))
        return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])

    is_authority = name == issuer
    unused = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign")
    usage = x509.KeyUsage(
        **dict.fromkeys((*unused, "encipher_only", "decipher_only"), False),
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
    )
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), critical=False)
        .add_extension(usage, critical=True)
    )
    if not is_authority:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return made.sign(authority, hashes.SHA256()).public_bytes(Encoding.PEM)
