"""APERAK: what an application found, told in every directory that has the message, without fault, and read back."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from pydifact.segmentcollection import Interchange as Judge

from gateway.model import Catalogue, Finding, Place, Severity
from gateway.model.edifact import Directory
from gateway.syntax import (
    ApplicationError,
    ApplicationReport,
    Directories,
    Message,
    OutMessage,
    Response,
    aperak,
    application_report,
    fold,
    read,
    report,
    write,
)
from gateway.syntax.aperak_drafts import split
from tests.syntax.conftest import corpus_folder
from tests.syntax.samples import GOOD, codes, one

NOW = datetime(2024, 1, 31, 12, 30, tzinfo=UTC)
WARNING = Finding("EDI302", Place("2", 5, "NAD", element=2, component=1), "3055", "ZZ9", Severity.WARNING)
ERROR = Finding(
    "RUL010", Place("2", 8, "GID", "SG7[1]", pointer="Declaration/Consignment[2]/TotalPackageQuantity")
)
BOTH = ApplicationReport(
    "APE1",
    Response.REJECTED,
    "REF1",
    "MAN1",
    "2",
    "202401311230",
    (
        ApplicationError(
            "EDI302", "The code is not in the list.", Severity.WARNING, Place("", 5, "NAD", element=2)
        ),
        ApplicationError(
            "RUL010", "Too few.", Severity.ERROR, Place("", 8, "GID", pointer="Declaration/A[2]/B")
        ),
        ApplicationError("PAR003", "", Severity.ERROR),
    ),
)


def written(message: OutMessage, level: str = "UNOC", version: str = "3") -> bytes:
    parties: dict[str, Any] = {"sender": ("CUSTOMS", "ZZ"), "recipient": ("VAN1", "ZZ")}
    return write([message], **parties, reference="A1", now=NOW, syntax=(level, version))


def sent(
    told: ApplicationReport,
    directories: Directories,
    like: Message | None = None,
    level: str = "UNOC",
    **more: str,
) -> Message:
    """The APERAK, written and read; it must be without any finding."""
    back = read(written(aperak(told, directories, like, level=level), level, **more), directories)
    assert codes(back) == []
    (message,) = back.messages
    return message


def like(directory: Directory) -> Message:
    _, _, release = directory.name.partition(".")
    return Message(1, "1", "CUSCAR", "D", release, "UN", "", ())


def holding(directories: Directories) -> list[Directory]:
    return [d for d in directories.all() if "APERAK" in d.messages and d.agency == "UN"]


def test_every_directory_that_has_it_writes_it_without_fault(directories: Directories) -> None:
    found = holding(directories)
    assert len(found) > 50
    for directory in found:
        for version in ("3", "4"):
            message = sent(BOTH, directories, like(directory), version=version)
            expected = (
                "D:96B" if directory.name == "D.95A" else directory.name.replace(".", ":")
            )  # 9321 an..3 there
            assert f"{message.version}:{message.release}" == expected
            assert application_report(message) == BOTH


def test_the_segments_are_these(directories: Directories) -> None:
    octets = written(aperak(BOTH, directories))
    body = octets[octets.index(b"BGM") : octets.index(b"UNT")].decode()
    assert body.split("'") == [
        "BGM+963+APE1+11+RE",
        "DTM+137:202401311230:203",
        "RFF+ACE:REF1",
        "RFF+AGO:MAN1",
        "RFF+ACW:2",
        "ERC+EDI302",
        "FTX+AAO++W+The code is not in the list.",
        "RFF+LI:NAD 2:5",
        "ERC+RUL010",
        "FTX+AAO++E+Too few.",
        "RFF+LI:GID:8",
        "FTX+ACB+++Declaration/A[2]/B",
        "ERC+PAR003",
        "",
    ]


@pytest.mark.parametrize(
    ("findings", "response", "document"),
    [
        ((), Response.ACCEPTED, ("961", "305")),
        ((WARNING,), Response.CONDITIONAL, ("961", "305")),
        ((WARNING, ERROR), Response.REJECTED, ("963", "305")),
        ((replace(WARNING, severity=Severity.NOTE),), Response.ACCEPTED, ("961", "305")),
    ],
)
def test_the_verdict_follows_the_findings(
    findings: tuple[Finding, ...],
    response: Response,
    document: tuple[str, str],
    directories: Directories,
    catalogue: Catalogue,
) -> None:
    interchange = read(GOOD.encode(), directories)
    told = report(interchange, interchange.messages[1], findings, catalogue, reference="APE1", now=NOW)
    assert (told.interchange, told.document, told.message) == ("REF1", "MAN1", "2")
    for directory, code in zip(("96B", "99B"), document, strict=True):
        original = Message(1, "2", "CUSCAR", "D", directory, "UN", "", ())
        message = sent(told, directories, original)
        assert message.segments[1].get(1) == code
        back = application_report(message)
        assert back.response is response
        assert [e.severity for e in back.errors] == [f.severity for f in findings]


def test_findings_are_said_in_the_sender_s_language_and_repertoire(
    directories: Directories, catalogue: Catalogue
) -> None:
    interchange = read(GOOD.encode(), directories)
    vi = report(
        interchange,
        interchange.messages[1],
        (WARNING, ERROR),
        catalogue,
        reference="1",
        now=NOW,
        language="vi",
    )
    for level in ("UNOA", "UNOB", "UNOC", "UNOW"):
        errors = application_report(sent(vi, directories, level=level)).errors
        assert errors[0].text == fold(catalogue.say(WARNING, "vi"), level)
        assert errors[0].place == Place("", 5, "NAD", element=2, component=1)
    assert errors[0].text == catalogue.say(WARNING, "vi")
    assert errors[1].place == Place("", 8, "GID", pointer=ERROR.place.pointer)


def test_no_answer_is_answered(directories: Directories, catalogue: Catalogue) -> None:
    interchange = read(GOOD.encode(), directories)
    for kind in ("CONTRL", "APERAK"):
        answer = replace(interchange.messages[0], type=kind)
        with pytest.raises(ValueError, match="never answered"):
            report(interchange, answer, (ERROR,), catalogue, reference="1", now=NOW)


def test_a_text_is_cut_where_ftx_ends(directories: Directories) -> None:
    long = " ".join(f"word{n}" for n in range(1_000))
    for release, most in (("96B", 5 * 70), ("99B", 5 * 512)):
        told = replace(BOTH, errors=(ApplicationError("EDI001", long),))
        original = Message(1, "2", "CUSCAR", "D", release, "UN", "", ())
        (error,) = application_report(sent(told, directories, original)).errors
        assert most - 100 < len(error.text) <= most
        assert error.text.endswith("...")
        assert long.startswith(error.text[:-3])


def test_the_gravest_are_kept_where_they_are_too_many(directories: Directories) -> None:
    notes = [ApplicationError("EDI112", f"n{n}", Severity.NOTE) for n in range(600)]
    errors = [ApplicationError("RUL001", f"e{n}") for n in range(600)]
    mixed = tuple(e for pair in zip(notes, errors, strict=True) for e in pair)
    original = Message(1, "2", "CUSCAR", "D", "96A", "UN", "", ())  # 999 ERC
    back = application_report(sent(replace(BOTH, errors=mixed), directories, original)).errors
    assert [e.text for e in back if e.severity is Severity.ERROR] == [f"e{n}" for n in range(600)]
    assert [e.text for e in back if e.severity is Severity.NOTE] == [f"n{n}" for n in range(399)]
    assert back == mixed[: 2 * 399] + tuple(errors[399:])


def test_other_agencies_and_unknown_directories_are_answered_in_d_96b(directories: Directories) -> None:
    for original in (
        Message(1, "1", "PAXLST", "D", "05B", "IA", "", ()),
        Message(1, "1", "X", "D", "77Q", "UN", "", ()),
    ):
        assert aperak(BOTH, directories, original).release == "96B"
    with pytest.raises(ValueError, match="no directory"):
        aperak(replace(BOTH, errors=(ApplicationError("TOOLONG99"),)), directories)
    with pytest.raises(ValueError, match="repertoire"):
        aperak(BOTH, directories, level="UNOZ")


@pytest.mark.parametrize("text", [GOOD, GOOD.replace("CUSCAR:D:95B", "APERAK:D:96B")])
def test_what_is_no_aperak_is_refused(text: str, directories: Directories) -> None:
    with pytest.raises(ValueError, match="not an APERAK"):
        application_report(read(text.encode(), directories).messages[1])


def test_another_writer_s_aperak_is_read(directories: Directories) -> None:
    """References and codes as sent; places and severities that are not in our manner are left alone."""
    body = (
        "UNH+1+APERAK:D:99B:UN'BGM+312+A1'DTM+137:20240131:102'DOC+380+INV1'RFF+ACW:PO1'NAD+MS+X'"
        "ERC+12::ZZZ'FTX+AAI+++Order rejected:for a code'RFF+LI:LINE 7 OF 9'ERC+13'RFF+ON:O1:12'UNT+12+1'"
    )
    message = read(one(body), directories).messages[0]
    assert message.findings == ()
    assert application_report(message) == ApplicationReport(
        "A1",
        None,
        message="PO1",
        prepared="20240131",
        errors=(ApplicationError("12", "Order rejected for a code"), ApplicationError("13")),
    )


def test_the_corpus_s_aperak_is_read(directories: Directories) -> None:
    path = corpus_folder("edifact") / "nerdocs__pydifact" / "tests" / "data" / "messages" / "v3"
    for name, code in (("aperak.edi", "1"), ("aperak_rejected.edi", "12")):
        (message,) = read((path / name).read_bytes(), directories).messages
        told = application_report(message)
        assert (told.message, [e.code for e in told.errors]) == ("PO123456", [code])


@pytest.mark.filterwarnings("ignore:segments.xml not found")
def test_another_reader_reads_ours(directories: Directories) -> None:
    judged = Judge.from_str(written(aperak(BOTH, directories)).decode("latin-1"))
    (message,) = judged.get_messages()
    assert [str(s.elements[0]) for s in message.segments if s.tag == "ERC"] == ["EDI302", "RUL010", "PAR003"]


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=400)


@given(TEXT, st.integers(5, 80))
def test_lines_put_together_are_the_text(text: str, most: int) -> None:
    whole = " ".join(text.split())
    lines = list(split(whole, most))
    assert "".join(lines) == whole
    assert all(0 < len(line) <= most and line == line.rstrip() for line in lines)


PLACES = st.builds(
    Place,
    segment=st.integers(0, 999_999),
    tag=st.sampled_from(["", "BGM", "CST"]),
    element=st.integers(0, 20),
    component=st.integers(0, 9),
    repetition=st.integers(0, 9),
    pointer=st.sampled_from(["", "Declaration/A[2]/B", "a" * 300]),
)
ERRORS = st.builds(
    ApplicationError,
    st.from_regex(r"[A-Z]{3}[0-9]{1,5}", fullmatch=True),
    st.text(st.characters(codec="iso8859_1", exclude_categories=["Cc"]), max_size=200).filter(
        lambda text: not re.search("[\xc3-\xf4][\xa0-\xbf]", text)  # it would look like UTF-8, which is told
    ),
    st.sampled_from(list(Severity)),
    PLACES,
)


@given(st.lists(ERRORS, max_size=5), st.sampled_from(["96B", "99B", "24A"]))
@settings(max_examples=150, deadline=None)
def test_a_report_is_read_back(
    directories: Directories, errors: list[ApplicationError], release: str
) -> None:
    told = replace(BOTH, errors=tuple(errors))
    original = Message(1, "2", "CUSCAR", "D", release, "UN", "", ())
    back = application_report(sent(told, directories, original))
    assert replace(back, errors=()) == replace(told, errors=())
    for error, found in zip(errors, back.errors, strict=True):
        text = " ".join(fold(error.text, "UNOC").split())
        assert (found.code, found.text) == (error.code, text)
        assert found.severity is (error.severity if text else Severity.ERROR)
        place = error.place
        element = (place.element, place.component, place.repetition) if place.element else (0, 0, 0)
        assert (found.place.segment, found.place.tag, found.place.pointer) == (
            place.segment,
            place.tag,
            place.pointer,
        )
        assert (found.place.element, found.place.component, found.place.repetition) == element
