"""The XML half of :mod:`bench.trust`: enveloped signatures and XAdES, verified and made."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree
from signxml.algorithms import CanonicalizationMethod
from signxml.signer import XMLSigner
from signxml.verifier import XMLVerifier

from bench.trust import Case, Peak
from gateway import safexml
from gateway.operations.demo import papers
from gateway.operations.demo.papers import Goods
from gateway.security import Policy, SigningKey, Trust, sign_xml, verify
from gateway.security.certificates.authority import Authority
from gateway.security.xmldsig.qualifying import sign_xades

NOW = datetime.now(UTC).replace(microsecond=0)
MEDIA = "application/xml"
DS = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0
ALGORITHMS = (("rsa", "rsa"), ("p256", "P-256"))
SIZES = (2_000, 20_000, 200_000, 5_000_000)
LARGE = 50_000_000
MOST, MOST_MEMORY, LEAST_SIGNXML = 1.3, 14.0, 3.0
_LINE = 900
"""Octets of a goods item in a declaration, about."""


def document(size: int) -> bytes:
    """A declaration of about a size: a small one of its parts, a larger one of more items."""
    count = max(0, (size - 2_500) // _LINE)
    goods = tuple(
        Goods("84713020", f"Portable computers, model {n}, 14 inches", "CN", 48_000_000, 90, 6)
        for n in range(max(1, count))
    )
    made = papers.declaration("B0000001", ("An Phat Co., Ltd", "0101234567"), goods, NOW)
    while len(made) > size * 1.1 and len(goods) > 1:
        goods = goods[: max(1, int(len(goods) * size / len(made)))]
        made = papers.declaration("B0000001", ("An Phat Co., Ltd", "0101234567"), goods, NOW)
    return made


def raw_verify(
    body: bytes, public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, value: bytes, properties: bool = False
) -> bytes:
    """Parse, canonicalise SignedInfo and the document, hash, one public-key operation; nothing is checked.

    ``properties``: those of XAdES are canonicalised and hashed, too."""
    root = etree.fromstring(body)
    signature = root[-1]
    info = etree.tostring(signature[0], method="c14n", exclusive=True)
    if properties:
        hashlib.sha256(etree.tostring(signature[-1][0][0], method="c14n", exclusive=True)).digest()
    root.remove(signature)
    content = etree.tostring(root, method="c14n", exclusive=True)
    if isinstance(public, rsa.RSAPublicKey):
        public.verify(value, info, padding.PKCS1v15(), hashes.SHA256())
    else:
        public.verify(value, info, ec.ECDSA(hashes.SHA256()))
    return hashlib.sha256(content).digest()


def raw_sign(root: etree._Element, private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """Canonicalise, hash, one private-key operation."""
    content = etree.tostring(root, method="c14n", exclusive=True)
    digest = hashlib.sha256(content).digest()
    if isinstance(private, rsa.RSAPrivateKey):
        return private.sign(digest, padding.PKCS1v15(), hashes.SHA256())
    return private.sign(digest, ec.ECDSA(hashes.SHA256()))


def cases(folder: Path, quick: bool) -> Sequence[Case]:
    """Every size and key, verified and signed; XAdES in one size."""
    authority = Authority.create(folder / "authority", "Bench Authority")
    trust = Trust([authority.certificate])
    made: list[Case] = []
    for algorithm, shown in ALGORITHMS:
        key_path, certificate_path = folder / f"{algorithm}.key", folder / f"{algorithm}.pem"
        authority.issue("CN=bench", key_path, certificate_path, algorithm=algorithm)  # type: ignore[arg-type]
        key = SigningKey.load(key_path, certificate_path)
        for size in SIZES[:2] if quick else SIZES:
            made += _of_size(size, shown, key, key_path, certificate_path, trust, authority)
        made.append(_xades(shown, key, key_path, trust))
    return made


def _of_size(
    size: int,
    shown: str,
    key: SigningKey,
    key_path: Path,
    certificate_path: Path,
    trust: Trust,
    authority: Authority,
) -> list[Case]:
    unsigned = safexml.parse(document(size))
    body = sign_xml(unsigned, key, NOW)
    public, value = _for_raw(key, key_path, body)
    private = load_pem_private_key(key_path.read_bytes(), None)
    verifying = Case(
        name="verify enveloped",
        size=len(body),
        key=shown,
        raw=lambda: raw_verify(body, public, value),
        ours=lambda: verify(body, MEDIA, trust, Policy(), NOW),
        peers={
            "signxml": lambda: XMLVerifier().verify(body, x509_cert=key.certificates[0]),
            "xmlsec": lambda: _xmlsec_verify(body, certificate_path),
        },
        most=MOST,
        least={"signxml": LEAST_SIGNXML},
    )
    signer = XMLSigner(c14n_algorithm=EXCLUSIVE, signature_algorithm=_signxml_name(key))
    signing = Case(
        name="sign enveloped",
        size=len(body),
        key=shown,
        raw=lambda: raw_sign(unsigned, private),  # type: ignore[arg-type]
        ours=lambda: sign_xml(unsigned, key, NOW),
        peers={
            "signxml": lambda: etree.tostring(
                signer.sign(unsigned, key=private, cert=list(key.certificates))
            ),  # type: ignore[arg-type]
            "xmlsec": _xmlsec_signer(unsigned, key, key_path, certificate_path),
        },
        most=MOST,
    )
    return [verifying, signing]


def _xades(shown: str, key: SigningKey, key_path: Path, trust: Trust) -> Case:
    body = sign_xades(safexml.parse(document(20_000)), key, NOW)
    public, value = _for_raw(key, key_path, body)
    return Case(
        name="verify XAdES B, enveloped",
        size=len(body),
        key=shown,
        raw=lambda: raw_verify(body, public, value, properties=True),
        ours=lambda: verify(body, MEDIA, trust, Policy(), NOW),
        peers={
            "signxml": lambda: XMLVerifier().verify(body, x509_cert=key.certificates[0], expect_references=2)
        },
        most=MOST,
    )


def _for_raw(
    key: SigningKey, key_path: Path, body: bytes
) -> tuple[rsa.RSAPublicKey | ec.EllipticCurvePublicKey, bytes]:
    """A signature value over the canonical SignedInfo as the library takes it: ECDSA in DER."""
    info = etree.tostring(etree.fromstring(body)[-1][0], method="c14n", exclusive=True)
    public = key.certificates[0].public_key()
    assert isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
    return public, key.sign(info, NOW)


def _signxml_name(key: SigningKey) -> str:
    return "rsa-sha256" if key.algorithm.scheme == "rsa" else "ecdsa-sha256"


def _xmlsec_verify(body: bytes, certificate: Path) -> None:
    root = etree.fromstring(body)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(str(certificate), xmlsec.KeyFormat.CERT_PEM)
    context.verify(root.find(f"{{{DS}}}Signature"))


def _xmlsec_signer(
    unsigned: etree._Element, key: SigningKey, key_path: Path, certificate: Path
) -> Callable[[], object]:
    text = etree.tostring(unsigned)
    method = xmlsec.Transform.RSA_SHA256 if key.algorithm.scheme == "rsa" else xmlsec.Transform.ECDSA_SHA256
    loaded = xmlsec.Key.from_file(str(key_path), xmlsec.KeyFormat.PEM)
    loaded.load_cert_from_file(str(certificate), xmlsec.KeyFormat.PEM)

    def sign() -> bytes:
        root = etree.fromstring(text)
        node = xmlsec.template.create(root, xmlsec.Transform.EXCL_C14N, method)
        root.append(node)
        reference = xmlsec.template.add_reference(node, xmlsec.Transform.SHA256, uri="")
        xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
        xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(node))
        context = xmlsec.SignatureContext()
        context.key = loaded
        context.sign(node)
        return etree.tostring(root)

    return sign


def memory(quick: bool) -> Sequence[Peak]:
    """The highest memory of a process that verifies one large message, over one that only holds it."""
    size = LARGE // 10 if quick else LARGE
    ratios = {}
    for who in ("ours", "signxml", "xmlsec"):
        done = subprocess.run(
            [sys.executable, "-m", "bench.trust_xml", who, str(size)],
            capture_output=True,
            check=True,
            text=True,
        )
        ratios[who] = float(done.stdout)
    return [Peak("verify enveloped", size, ratios, MOST_MEMORY)]


def _alone(who: str, size: int) -> float:
    """In a process of its own: peak memory while verifying, over what was held before, by the size."""
    import resource
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        authority = Authority.create(home / "authority", "Bench Authority")
        authority.issue("CN=bench", home / "key", home / "pem", algorithm="rsa")
        made = subprocess.run(
            [sys.executable, "-m", "bench.trust_xml", "make", str(size), str(home)],
            check=False,
            capture_output=True,
        )
        if made.returncode:
            raise RuntimeError(made.stderr.decode())
        body = (home / "body").read_bytes()
        certificate = x509.load_pem_x509_certificate((home / "pem").read_bytes())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if who == "ours":
            verify(body, MEDIA, Trust([authority.certificate]), Policy(), NOW)
        elif who == "signxml":
            XMLVerifier().verify(body, x509_cert=certificate)
        else:
            _xmlsec_verify(body, home / "pem")
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / len(body)


def _make(size: int, home: Path) -> None:
    key = SigningKey.load(home / "key", home / "pem")
    (home / "body").write_bytes(sign_xml(safexml.parse(document(size)), key, NOW))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        _make(int(sys.argv[2]), Path(sys.argv[3]))
    else:
        print(_alone(sys.argv[1], int(sys.argv[2])))
