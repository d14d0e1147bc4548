"""The outbound journey: verdicts and decisions become messages in the sender's own syntax, signed."""

from gateway.outbound.answers import beyond_syntax, decision, receipt, refusal, seal
from gateway.outbound.drafts import Draft
from gateway.outbound.response import MAX_ERRORS, About, where

__all__ = [
    "MAX_ERRORS",
    "About",
    "Draft",
    "beyond_syntax",
    "decision",
    "receipt",
    "refusal",
    "seal",
    "where",
]
