"""How verified words on revocation are kept outside this room, and made into a snapshot again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from gateway.security.certificates.crl import RevokedList
from gateway.security.certificates.revocation import Revocations, slot_of
from gateway.security.certificates.statement import Statement

_ANSWER, _LIST = "ocsp:", "crl:"
_statements = msgspec.msgpack.Decoder(Statement)
_lists = msgspec.msgpack.Decoder(RevokedList)


def answer_subject(key: bytes) -> str:
    """What an answer is about: issuer key and serial key of a certificate."""
    return _ANSWER + key.hex()


def list_subject(made: RevokedList) -> str:
    """What a CRL is about: its issuer and, of that one's certificates, which."""
    slot = hashlib.sha256(repr(slot_of(made)).encode()).hexdigest()[:16]
    return f"{_LIST}{made.issuer.hex()}:{slot}"


def told_of_answer(statement: Statement) -> bytes:
    """The statement without its evidence."""
    return msgspec.msgpack.encode(msgspec.structs.replace(statement, evidence=()))


def told_of_list(made: RevokedList) -> bytes:
    """The list without its own octets."""
    return msgspec.msgpack.encode(msgspec.structs.replace(made, der=b""))


def relearn(revocations: Revocations, kept: Iterable[tuple[str, bytes, bytes]], version: int) -> Revocations:
    """A snapshot with what was kept since: (subject, DER, told) of each.

    Raises msgspec.DecodeError where it was kept in another form.
    """
    answers: dict[bytes, Statement] = {}
    lists: list[RevokedList] = []
    for subject, der, told in kept:
        if subject.startswith(_ANSWER):
            statement = _statements.decode(told)
            key = bytes.fromhex(subject.removeprefix(_ANSWER))
            answers[key] = msgspec.structs.replace(statement, evidence=(der,) if der else ())
        else:
            lists.append(msgspec.structs.replace(_lists.decode(told), der=der))
    return revocations.learned(answers, lists, version)
