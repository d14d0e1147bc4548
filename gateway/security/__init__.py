"""Security: who signed a message, exactly what they signed, and the gateway's own signatures."""

from gateway.security.certificates.certificate import subject_of
from gateway.security.certificates.identity import Identifier, identifiers_of
from gateway.security.certificates.inquiry import Sources, met_in, sources_of
from gateway.security.certificates.keeping import relearn
from gateway.security.certificates.revocation import Revocations
from gateway.security.certificates.trust import Trust
from gateway.security.cms.decrypters import KeptKey
from gateway.security.cms.decrypting import Decrypter
from gateway.security.cms.encrypting import encrypt_cms
from gateway.security.cms.material import Material, validation_data
from gateway.security.cms.signing import sign_cms
from gateway.security.edifact.naming import Certificates, Lookup, names_of, references_of
from gateway.security.edifact.profile import EdifactProfile
from gateway.security.edifact.proving import EdifactProof, attest, prove_edifact
from gateway.security.edifact.signing import EdifactSigner, Manner
from gateway.security.keystore.files import KeyUnusable, read_key
from gateway.security.keystore.generation import TlsKey
from gateway.security.keystore.hsm import TokenAway
from gateway.security.keystore.inventory import USES as KEY_USES
from gateway.security.keystore.inventory import Use as KeyUse
from gateway.security.keystore.keys import DecryptionKey, Signatory, SigningKey
from gateway.security.keystore.store import Keystore
from gateway.security.large import document, roomy, verify_file, whole
from gateway.security.policy import (
    ENVELOPED,
    PURPOSES,
    UNDOING,
    XADES_SHAPES,
    Legacy,
    Level,
    MimeLimits,
    Policy,
    WhenUnknown,
)
from gateway.security.refused import Held, Refused
from gateway.security.signed_time import check_age
from gateway.security.stretch import Stretch
from gateway.security.verification import Layers, unproven, verify
from gateway.security.verified import EDIFACT_SECURITY, Verified
from gateway.security.xmldsig.qualifying import sign_beside, sign_xades
from gateway.security.xmldsig.signing import sign_canonical, sign_xml

__all__ = [
    "EDIFACT_SECURITY",
    "ENVELOPED",
    "KEY_USES",
    "PURPOSES",
    "UNDOING",
    "XADES_SHAPES",
    "Certificates",
    "Decrypter",
    "DecryptionKey",
    "EdifactProfile",
    "EdifactProof",
    "EdifactSigner",
    "Held",
    "Identifier",
    "KeptKey",
    "KeyUnusable",
    "KeyUse",
    "Keystore",
    "Layers",
    "Legacy",
    "Level",
    "Lookup",
    "Manner",
    "Material",
    "MimeLimits",
    "Policy",
    "Refused",
    "Revocations",
    "Signatory",
    "SigningKey",
    "Sources",
    "Stretch",
    "TlsKey",
    "TokenAway",
    "Trust",
    "Verified",
    "WhenUnknown",
    "attest",
    "check_age",
    "document",
    "encrypt_cms",
    "identifiers_of",
    "met_in",
    "names_of",
    "prove_edifact",
    "read_key",
    "references_of",
    "relearn",
    "roomy",
    "sign_beside",
    "sign_canonical",
    "sign_cms",
    "sign_xades",
    "sign_xml",
    "sources_of",
    "subject_of",
    "unproven",
    "validation_data",
    "verify",
    "verify_file",
    "whole",
]
