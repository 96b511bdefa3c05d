"""Signatures of webhooks: a test authority of this sandbox, its certificate for the sender, and a stranger's.

The standard library cannot sign with RSA, so this one file uses `cryptography`, and only when a webhook is first needed.
The keys are made once per ledger and stay in it: whoever has learned to trust the authority need not learn it again.
"""

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from .state import Sandbox

ORGANIZATION = "Microsoft Corporation"
_META = "signing"
_making = threading.Lock()


def authority(sandbox: Sandbox) -> str:
    """The certificate, in PEM, of the authority that a receiver of webhooks has to trust."""
    return str(_keys(sandbox)["own"]["authority"])


def certificate(sandbox: Sandbox, name: str) -> str:
    """The sender's certificate in PEM: `own`, or `other`, which an authority that nobody trusts has signed."""
    return str(_keys(sandbox)[name]["certificate"])


def sign(sandbox: Sandbox, name: str, content: bytes) -> str:
    """Base64 of the RSA-SHA256 signature."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(_keys(sandbox)[name]["key"].encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return base64.b64encode(key.sign(content, padding.PKCS1v15(), hashes.SHA256())).decode()


def _keys(sandbox: Sandbox) -> dict[str, dict[str, str]]:
    # Outside the ledger's lock while they are made: RSA keys take their time.
    with _making:
        with sandbox.ledger.transaction():
            kept = sandbox.ledger.meta(_META, "")
        if not kept:
            kept = json.dumps({"own": _pair(), "other": _pair()})
            with sandbox.ledger.transaction():
                sandbox.ledger.set_meta(_META, kept)
        keys: dict[str, dict[str, str]] = json.loads(kept)
        return keys


def _pair() -> dict[str, str]:
    """An authority, and the certificate and key of a sender that it vouches for.  A forger's bears the same names."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    root_key = rsa.generate_private_key(65537, 2048)
    leaf_key = rsa.generate_private_key(65537, 2048)
    root = _certificate("Sandbox test authority", root_key, None, None)
    leaf = _certificate("Partner Center webhooks", leaf_key, root, root_key)
    return {
        "authority": root.public_bytes(Encoding.PEM).decode(),
        "certificate": leaf.public_bytes(Encoding.PEM).decode(),
        "key": leaf_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    }


def _certificate(name: str, key: Any, issuer: Any, issuer_key: Any) -> Any:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import NameOID

    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION), x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        # The vendor's clock can be moved far ahead, and the certificate shall outlive every demonstration.
        .not_valid_after(now + timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(key if issuer_key is None else issuer_key, hashes.SHA256())
    )
