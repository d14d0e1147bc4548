"""Security: who signed a message, exactly what they signed, and the gateway's own signatures."""

from gateway.security.certificate import subject_of
from gateway.security.keys import SigningKey
from gateway.security.policy import MimeLimits, Policy
from gateway.security.refused import Refused
from gateway.security.sign_cms import sign_cms
from gateway.security.sign_xml import sign_xml
from gateway.security.trust import Trust
from gateway.security.verification import unproven, verify
from gateway.security.verified import Verified

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
