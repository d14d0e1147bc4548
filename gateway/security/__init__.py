"""Security: who signed a message, exactly what they signed, and the gateway's own signatures."""

from gateway.security.certificates.certificate import subject_of
from gateway.security.certificates.trust import Trust
from gateway.security.cms.signing import sign_cms
from gateway.security.keystore.keys import SigningKey
from gateway.security.policy import MimeLimits, Policy
from gateway.security.refused import Refused
from gateway.security.verification import unproven, verify
from gateway.security.verified import Verified
from gateway.security.xmldsig.signing import sign_xml

__all__ = [
    "MimeLimits",
    "Policy",
    "Refused",
    "SigningKey",
    "Trust",
    "Verified",
    "sign_cms",
    "sign_xml",
    "subject_of",
    "unproven",
    "verify",
]
