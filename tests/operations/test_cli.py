"""The ``cvan`` command: every word of it has an example, every complaint is one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from lxml import etree

from gateway.operations.cli import cvan as root
from gateway.security.certificates.authority import Authority
from tests.journeys.responders import crl_of
from tests.operations.conftest import SAMPLES
from tests.operations.shell import Said, cvan, cvan_alone

IMPORT = SAMPLES / "wco" / "import.xml"
BROKEN = SAMPLES / "wco" / "broken"
PLACE = {"message", "segment", "tag", "group", "element", "component", "repetition", "offset"}
PLACE |= {"xpath", "line", "column", "pointer", "part"}
FINDING = {"code", "severity", "place", "expected", "found", "text", "text_vi"}


def commands(command: click.Command = root, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from commands(below, (*path, name))


def complaint(said: Said) -> str:
    """The one line on stderr with which a command ends that cannot do its work."""
    assert said.code == 2
    assert said.out == b""
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith("cvan: ")
    return said.err


# -- help --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_helps_with_an_example(path: tuple[str, ...]) -> None:
    said = cvan(*path, "--help")
    assert said.code == 0
    _, _, body = said.text.partition("\n\n")
    words = " ".join(path[:1])
    assert re.search(rf"(?m)^ +(.*: +)?cvan (.* )?{words}", body), said.text
    assert all(line == line.rstrip() for line in said.text.splitlines())


def test_every_command_that_tells_something_tells_it_in_json() -> None:
    silent = {(), ("run",)}
    for path in commands():
        command: Any = root
        for name in path:
            command = command.commands[name]
        if not isinstance(command, click.Group) and path not in silent:
            assert "--json" in cvan(*path, "--help").text, path


def test_the_version_is_the_package_s(capfd: pytest.CaptureFixture[str]) -> None:
    said = cvan("--version")
    assert (said.code, said.text.startswith("cvan, version ")) == (0, True)


# -- complaints --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("check",),
        ("check", "/nonexistent"),
        ("check", "--nonsense", IMPORT),
        ("partner", "add"),
    ],
    ids=lambda a: " ".join(map(str, a)),
)
def test_wrong_words_get_the_usage(arguments: tuple[object, ...]) -> None:
    said = cvan(*arguments)
    assert said.code == 2
    assert said.err.startswith("Usage: cvan")
    assert "Error: " in said.err
    assert "Traceback" not in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("partner", "list"),
        ("mandate", "list"),
        ("office", "list"),
        ("run",),
        ("schema", "add", "national", SAMPLES),
        ("send", IMPORT),
        ("sign", IMPORT, "-o", "signed.xml"),
        ("sign", IMPORT, "-o", "signed.xml", "--as", SAMPLES),
        ("status", "01m8"),
        ("status", "01m8", "--as", SAMPLES),
    ],
    ids=lambda a: " ".join(map(str, a[:2])),
)
def test_what_is_missing_is_said_in_one_line(arguments: tuple[object, ...]) -> None:
    complaint(cvan(*arguments))


def test_a_home_named_behind_the_command_is_told_where_it_stands() -> None:
    said = cvan("partner", "list", "--home", SAMPLES)
    assert (said.code, "cvan --home HOME ..." in said.err) == (2, True)
    assert "Did you mean" not in said.err


def test_a_home_without_keys_says_what_comes_before_its_run(tmp_path: Path) -> None:
    lines = cvan("init", "--no-development", tmp_path / "home").text.splitlines()
    assert [word in line for word, line in zip(("keys new", "trust", "run"), lines[1:], strict=True)] == [
        True
    ] * 3


def test_a_folder_that_is_no_home(tmp_path: Path) -> None:
    assert "cvan init" in complaint(cvan("partner", "list", home=tmp_path))
    complaint(cvan("check", IMPORT, home=tmp_path))


def test_a_ledger_that_is_none_is_named(home: Path) -> None:
    (home / "ledger.db").write_text("letters", "utf-8")
    assert f"the ledger {home / 'ledger.db'} cannot be opened: " in complaint(
        cvan("partner", "list", home=home)
    )


def test_broken_knowledge_is_named(home: Path) -> None:
    with (home / "mappings" / "wco" / "dec.toml").open("a", encoding="utf-8") as table:
        table.write("broken = ")
    assert "dec.toml" in complaint(cvan("check", IMPORT, home=home))


def test_a_place_that_cannot_be_written(made_home: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "nowhere" / "file"
    complaint(cvan("init", "/proc/home"))
    key = made_home / "keystore" / "own"
    signer = ("--key", key / "signing.key.pem", "--certificate", key / "signing.crt.pem")
    for words in (
        ("sign", IMPORT, *signer),
        ("translate", IMPORT, "--to", "json"),
        ("send", IMPORT, "--as", made_home),  # nothing is sent whose receipt could not be kept
        ("mailbox", "fetch", "01m8", "--as", made_home),
        ("evidence", "make", "01m8"),
        ("keys", "csr", "--use", "tls"),
    ):
        said = complaint(cvan(*words, "-o", nowhere, home=made_home))
        assert f"there is no folder {nowhere.parent}" in said


def test_a_list_of_revoked_certificates_that_is_none(home: Path, tmp_path: Path) -> None:
    assert "import.xml: no CRL in DER or PEM" in complaint(cvan("revocation", "import", IMPORT, home=home))
    other = Authority.create(tmp_path / "elsewhere", "Elsewhere")
    (tmp_path / "list.crl").write_bytes(crl_of(other))
    said = complaint(cvan("revocation", "import", tmp_path / "list.crl", home=home))
    assert "SIG331 The certificate revocation list is of CN=Elsewhere, not of" in said


def test_a_file_that_is_not_there_is_named_without_numbers(tmp_path: Path) -> None:
    said = complaint(cvan("send", IMPORT, "--as", tmp_path))
    assert f"{tmp_path / 'partner.toml'}: No such file or directory" in said
    assert "Errno" not in said + complaint(cvan("init", "/proc/home"))


# -- check -------------------------------------------------------------------------------------------


def shape(value: dict[str, Any]) -> None:
    """The JSON of one checked file is as it is promised."""
    assert (
        {"accepted", "messages", "findings"} <= value.keys() <= {"accepted", "messages", "findings", "file"}
    )
    assert isinstance(value["accepted"], bool)
    for message in value["messages"]:
        assert message.keys() == {"type", "reference", "accepted", "findings"}
        findings(message["findings"])
    findings(value["findings"])


def findings(values: list[dict[str, Any]]) -> None:
    for value in values:
        assert value.keys() == FINDING
        assert value["place"].keys() <= PLACE
        assert value["severity"] in ("error", "warning", "note")
        assert value["text"] != value["code"]
        assert value["text_vi"] != value["text"]


def test_check_accepts_needs_no_home_and_says_so_in_json() -> None:
    said = cvan("check", IMPORT, "--json")
    assert said.code == 0
    assert said.json() == {
        "accepted": True,
        "messages": [{"type": "IM", "reference": "NK-2025-000481", "accepted": True, "findings": []}],
        "findings": [],
    }


def test_check_rejects_with_code_place_expected_and_found() -> None:
    said = cvan("check", BROKEN / "missing-element.xml", "--json")
    assert said.code == 1
    value = said.json()
    shape(value)
    assert value["accepted"] is False
    (message,) = value["messages"]
    assert message["accepted"] is False
    first = message["findings"][0]
    assert first["code"] == "XML021"
    assert first["expected"]
    assert first["place"]["xpath"].startswith("/MetaData/Declaration")
    assert first["place"]["line"] > 1


def test_check_of_an_interchange_tells_each_message() -> None:
    said = cvan("check", SAMPLES / "cuscar" / "departure-99b.edi", "--json")
    shape(said.json())
    assert [m["type"] for m in said.json()["messages"]] == ["CUSCAR"]
    assert said.code == (0 if said.json()["accepted"] else 1)
    for finding in said.json()["messages"][0]["findings"]:
        assert finding["place"]["message"]
        assert finding["place"]["tag"]


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "PAR009"), (b"<a><b></a>", "XML005"), (b"<a/>", "XML020"), (b"\x00\x01\x02", "PAR010")],
)
def test_check_says_that_it_could_not_read(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    said = cvan("check", path, "--json")
    assert said.code == 2
    value = said.json()
    shape(value)
    assert (value["accepted"], value["messages"]) == (False, [])
    assert value["findings"][0]["code"] == code


def test_check_of_a_folder_names_its_files_and_has_the_worst_code(tmp_path: Path) -> None:
    shutil.copy(IMPORT, tmp_path / "a.xml")
    shutil.copy(BROKEN / "missing-element.xml", tmp_path / "b.xml")
    said = cvan("check", tmp_path, "--json")
    assert said.code == 1
    value = said.json()
    assert value["accepted"] is False
    assert [(Path(f["file"]).name, f["accepted"]) for f in value["files"]] == [
        ("a.xml", True),
        ("b.xml", False),
    ]
    for file in value["files"]:
        shape(file)
    (tmp_path / "c").write_bytes(b"nothing")
    assert cvan("check", tmp_path).code == 2


def test_check_of_nothing_accepts_nothing(tmp_path: Path) -> None:
    said = cvan("check", tmp_path, "--json")
    assert (said.code, said.json()) == (2, {"accepted": False, "files": []})


def test_check_speaks_to_people_in_both_languages() -> None:
    english = cvan("check", BROKEN / "bad-country.xml")
    vietnamese = cvan("check", BROKEN / "bad-country.xml", "--language", "vi")
    assert english.code == vietnamese.code == 1
    assert "XML026" in english.text
    assert "rejected" in english.text
    assert re.search("[ạảấầậắặếềệốồộớờợứừựđ]", vietnamese.text)
    assert english.text != vietnamese.text


def test_every_command_that_tells_findings_speaks_both(tmp_path: Path, monkeypatch: Any) -> None:
    unsigned, english = "Tài liệu chưa được ký", "The document is not signed"
    assert english in cvan("verify", IMPORT).text
    assert unsigned in cvan("verify", IMPORT, "--language", "vi").text
    monkeypatch.setenv("CVAN_LANGUAGE", "vi")
    assert unsigned in cvan("verify", IMPORT).text
    assert english in cvan("verify", IMPORT, "--language", "en").text
    for words in (("send",), ("status",), ("mailbox",), ("mailbox", "fetch"), ("translate",), ("check",)):
        assert "--language [en|vi]" in cvan(*words, "--help").text


def test_check_with_many_files_shows_no_progress_in_json(tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"{number:02}").write_bytes(b"<a/>")
    said = cvan("check", tmp_path, "--json")
    assert len(said.json()["files"]) == 25


def test_check_in_a_process_of_its_own(tmp_path: Path) -> None:
    said = cvan_alone("check", IMPORT, "--json")
    assert (said.code, said.json()["accepted"], said.err) == (0, True, "")


# -- translate ---------------------------------------------------------------------------------------


def test_xml_becomes_json_with_the_wco_names() -> None:
    said = cvan("translate", IMPORT, "--to", "json")
    assert said.code == 0
    value = said.json()
    assert value["kind"] == "IM"
    assert value["root"]["name"] == "Declaration"


@pytest.mark.parametrize(
    "name",
    [
        "wco/import.xml",
        "wco/export.xml",
        "wco/transit.xml",
        "wco/cargo-import.xml",
        "wco/conveyance.xml",
        "camt/credit-notification.xml",
    ],
)
def test_xml_to_xml_is_the_same_declaration(tmp_path: Path, name: str) -> None:
    there = tmp_path / "there.xml"
    assert cvan("translate", SAMPLES / name, "--to", "xml", "-o", there).code == 0
    before = cvan("translate", SAMPLES / name, "--to", "json").json()
    after = cvan("translate", there, "--to", "json").json()
    assert after == before


@pytest.mark.parametrize(
    ("name", "directory"), [("cuscar/arrival-95b.edi", "D.95B"), ("cusdec/import-96b.edi", "D.96B")]
)
def test_edifact_to_edifact_is_the_same_declaration(tmp_path: Path, name: str, directory: str) -> None:
    before = cvan("translate", SAMPLES / name, "--to", "json").json()
    there = tmp_path / "there.edi"
    done = cvan("translate", SAMPLES / name, "--to", "edifact", "--directory", directory, "-o", there)
    assert done.code == 0, done.err
    assert cvan("translate", there, "--to", "json").json() == before


def test_edifact_to_xml_and_back_is_the_same_declaration(tmp_path: Path) -> None:
    source = SAMPLES / "cusdec" / "import-96b.edi"
    before = cvan("translate", source, "--to", "json").json()
    there, back = tmp_path / "there.xml", tmp_path / "back.edi"
    assert cvan("translate", source, "--to", "xml", "-o", there).code == 0
    done = cvan("translate", there, "--to", "edifact", "--directory", "D.96B", "-o", back)
    assert done.code == 0, done.err
    assert cvan("translate", back, "--to", "json").json() == before


def test_what_a_syntax_cannot_say_is_told_and_not_dropped_in_silence() -> None:
    said = cvan("translate", IMPORT, "--to", "edifact", "--json")
    assert said.code == 0
    value = said.json()
    assert value["content"].startswith("UNA")
    lost = [f for f in value["findings"] if f["code"] == "MAP007"]
    assert lost
    assert all(f["severity"] == "warning" for f in lost)
    assert all(ord(c) < 256 for c in value["content"])
    assert any(ord(c) > 255 for f in lost for c in f["found"])


def test_what_cannot_be_translated_ends_with_one_and_the_reason(tmp_path: Path) -> None:
    conveyance = cvan("translate", SAMPLES / "wco" / "conveyance.xml", "--to", "edifact")
    assert (conveyance.code, conveyance.out) == (1, b"")
    assert "PAR011" in conveyance.err
    (tmp_path / "bad").write_bytes(b"<a><b></a>")
    bad = cvan("translate", tmp_path / "bad", "--to", "json")
    assert (bad.code, bad.out) == (1, b"")
    assert "XML005" in bad.err


# -- sign and verify ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def anphat(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partner's folder."""
    home = Path(shutil.copytree(made_home, tmp_path_factory.mktemp("signer") / "home"))
    folder = home.parent / "anphat"
    said = cvan(
        "partner", "add", "anphat", "--name", "An Phat", "--role", "trader", "--issue", folder, home=home
    )
    assert said.code == 0, said.err
    return folder


def trust(folder: Path, tmp_path: Path) -> Path:
    anchors = tmp_path / "anchors"
    anchors.mkdir(exist_ok=True)
    shutil.copy(folder / "authority.pem", anchors / "a.pem")
    return anchors


def test_signed_xml_is_proven_and_changed_xml_is_not(anphat: Path, tmp_path: Path) -> None:
    signed = tmp_path / "signed.xml"
    assert cvan("sign", IMPORT, "--as", anphat, "-o", signed).code == 0
    said = cvan("verify", signed, "--trust", trust(anphat, tmp_path), "--json")
    assert said.code == 0
    assert said.json()["proven"] is True
    assert said.json()["subject"] == "CN=An Phat,O=anphat,C=VN"
    assert etree.parse(signed).getroot()[-1].tag.endswith("}Signature")
    signed.write_bytes(signed.read_bytes().replace(b"NK-2025-000481", b"NK-2025-000482"))
    refused = cvan("verify", signed, "--trust", trust(anphat, tmp_path), "--json")
    assert (refused.code, refused.json()["proven"]) == (1, False)
    assert refused.json()["findings"][0]["code"] == "SIG011"


@pytest.mark.parametrize("envelope", ["multipart/signed", "application/pkcs7-mime"])
def test_signed_edifact_is_proven_and_checked(anphat: Path, tmp_path: Path, envelope: str) -> None:
    signed, source = tmp_path / "signed", SAMPLES / "cuscar" / "arrival-95b.edi"
    said = cvan("sign", source, "--as", anphat, "--envelope", envelope, "-o", signed, "--json")
    assert said.code == 0
    media_type = said.json()["media_type"]
    assert media_type.startswith(envelope)
    proven = cvan("verify", signed, "--media-type", media_type, "--trust", trust(anphat, tmp_path), "--json")
    assert proven.code == 0, proven.text


def test_check_reads_what_is_inside_a_signature(anphat: Path, tmp_path: Path) -> None:
    xml, edifact = tmp_path / "signed.xml", tmp_path / "signed.p7m"
    source = SAMPLES / "cuscar" / "arrival-95b.edi"
    assert cvan("sign", IMPORT, "--as", anphat, "-o", xml).code == 0
    assert cvan("sign", source, "--as", anphat, "-o", edifact).code == 0
    assert cvan("check", xml, "--json").json() == cvan("check", IMPORT, "--json").json()
    plain, signed = cvan("check", source, "--json").json(), cvan("check", edifact, "--json").json()
    assert signed == plain


def test_a_signature_of_nobody_we_trust_is_refused(anphat: Path, made_home: Path, tmp_path: Path) -> None:
    signed = tmp_path / "signed.xml"
    cvan("sign", IMPORT, "--as", anphat, "-o", signed)
    other = tmp_path / "other"
    cvan("init", other)
    said = cvan("verify", signed, home=other)
    assert said.code == 1
    assert "refused" in said.text


def test_what_cannot_be_signed(anphat: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "broken.xml").write_bytes(b"<a><b></a>")
    assert "line 1" in complaint(cvan("sign", tmp_path / "broken.xml", "--as", anphat, "-o", target))
    (tmp_path / "other").write_bytes(b"{}")
    assert "neither XML" in complaint(cvan("sign", tmp_path / "other", "--as", anphat, "-o", target))
    shutil.copytree(anphat, tmp_path / "open")
    (tmp_path / "open" / "signing.key.pem").chmod(0o640)
    assert "0640" in complaint(cvan("sign", IMPORT, "--as", tmp_path / "open", "-o", target))
    assert not target.exists()


# -- schema packs ------------------------------------------------------------------------------------

NATIONAL = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:example:national"
  elementFormDefault="qualified"><xs:element name="Declaration"><xs:complexType><xs:sequence>
  <xs:element name="FunctionCode" type="xs:string"/>
  <xs:element name="FunctionalReferenceID" type="xs:string"/>
  </xs:sequence></xs:complexType></xs:element></xs:schema>"""


def test_a_schema_pack_is_added_and_listed(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "schemas"
    folder.mkdir()
    (folder / "national.xsd").write_text(NATIONAL, "utf-8")
    said = cvan("schema", "add", "national", folder, "--json", home=home)
    assert said.code == 0, said.err
    listed = cvan("schema", "list", "--json", home=home).json()
    (row,) = [r for r in listed if r["pack"] == "national"]
    assert (row["root"], row["namespace"]) == ("Declaration", "urn:example:national")
    assert complaint(cvan("schema", "add", "national", folder, home=home))


def test_schemas_that_are_none(home: Path, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    assert "no .xsd" in complaint(cvan("schema", "add", "x", tmp_path / "schemas", home=home))
    (tmp_path / "schemas" / "a.xsd").write_text("<not-a-schema/>", "utf-8")
    complaint(cvan("schema", "add", "x", tmp_path / "schemas", home=home))
    complaint(cvan("schema", "add", "../x", tmp_path / "schemas", home=home))
    assert not (home / "xsd" / "x").exists()


# -- partners and mandates ---------------------------------------------------------------------------


def test_partners_are_added_shown_and_replaced(home: Path, tmp_path: Path) -> None:
    add = ("partner", "add", "anphat", "--name", "An Phat", "--role", "trader")
    first = cvan(*add, "--identifier", "0100109106", "--issue", tmp_path / "anphat", "--json", home=home)
    assert first.code == 0, first.err
    assert first.json()["subjects"] == ["CN=An Phat,O=anphat,C=VN"]
    again = cvan(*add, "--subject", "CN=Other", "--language", "vi", "--max-bytes", "5", "--json", home=home)
    assert again.code == 0
    shown = cvan("partner", "show", "anphat", "--json", home=home).json()
    assert (shown["subjects"], shown["language"], shown["limits"]) == (["CN=Other"], "vi", {"max_bytes": 5})
    listed = cvan("partner", "list", "--json", home=home).json()
    assert [p["id"] for p in listed] == ["anphat"]
    assert "anphat" in cvan("partner", "list", home=home).text


def test_a_token_is_shown_once_and_kept_as_a_digest(home: Path) -> None:
    add = ("partner", "add", "p", "--name", "P", "--role", "bank", "--token", "--json")
    said = cvan(*add, home=home).json()
    assert len(said["token"]) >= 40
    shown = cvan("partner", "show", "p", "--json", home=home)
    assert said["token"] not in shown.text
    assert re.fullmatch("[0-9a-f]{64}", shown.json()["token_digest"])


def test_partners_that_cannot_be(home: Path, tmp_path: Path) -> None:
    add = ("partner", "add", "p", "--name", "P", "--role", "trader")
    assert "--subject" in complaint(cvan(*add, home=home))
    assert "https" in complaint(cvan(*add, "--token", "--push-url", "http://p", home=home))
    assert cvan(*add, "--subject", "CN=P", home=home).code == 0
    other = ("partner", "add", "q", "--name", "Q", "--role", "trader")
    assert "belongs to partner p" in complaint(cvan(*other, "--subject", "CN=P", home=home))
    assert "no partner q" in complaint(cvan("partner", "show", "q", home=home))
    shutil.rmtree(home / "keystore" / "development-authority")
    assert "authority" in complaint(cvan(*other, "--issue", tmp_path / "q", home=home))


def test_mandates_are_added_listed_and_revoked(home: Path) -> None:
    for name in ("van", "trader"):
        cvan("partner", "add", name, "--name", name, "--role", "trader", "--subject", f"CN={name}", home=home)
    until = ("--type", "IM", "--until", "2099-01-01")
    added = cvan("mandate", "add", "van", "trader", *until, "--json", home=home)
    assert added.code == 0
    mandate = added.json()
    assert (mandate["agent"], mandate["principal"], mandate["types"]) == ("van", "trader", ["IM"])
    assert mandate["valid_to"] == "2099-01-01T00:00:00Z"
    assert [m["id"] for m in cvan("mandate", "list", "--json", home=home).json()] == [mandate["id"]]
    assert cvan("mandate", "revoke", mandate["id"], home=home).code == 0
    assert "revoked" in cvan("mandate", "list", home=home).text
    assert "not registered: nobody" in complaint(cvan("mandate", "add", "van", "nobody", home=home))
    over = ("mandate", "add", "van", "trader", "--until", "2020-01-01")
    assert "is over: nobody could act by this mandate" in complaint(cvan(*over, home=home))
    assert "no mandate" in complaint(cvan("mandate", "revoke", "nothing", home=home))
    assert cvan("partner", "show", "van", "--json", home=home).json()["mandates"][0]["id"] == mandate["id"]


# -- the office --------------------------------------------------------------------------------------


def test_an_empty_office(home: Path) -> None:
    assert cvan("office", "list", "--json", home=home).json() == []
    assert "no such case" in cvan("office", "list", home=home).text
    act = ("--officer", "Mai", "--reason", "why")
    assert "no case" in complaint(cvan("office", "show", "26VNDEM100000001I6", home=home))
    assert "no case" in complaint(cvan("office", "hold", "26VNDEM100000001I6", *act, home=home))
    assert "reason" in complaint(cvan("office", "hold", "26VNDEM100000001I6", "--officer", "Mai", home=home))


def test_a_broken_office_is_named(home: Path, rewrite: Callable[[str, str, str], None]) -> None:
    rewrite("conf/clearance/office.toml", "currency =", "currencies =")
    assert "currenc" in complaint(cvan("office", "list", home=home))


# -- what cannot start -------------------------------------------------------------------------------


def _no_anchor(home: Path) -> None:
    (home / "keystore" / "trust" / "development.pem").unlink()


def _replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(home: Path) -> None:
        text = (home / name).read_text("utf-8")
        assert old in text
        (home / name).write_text(text.replace(old, new), "utf-8")

    return change


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (_no_anchor, "door 1"),
        (_replaced("conf/clearance/office.toml", "[office]", "[ofice]"), "office"),
        (_replaced("conf/gateway.toml", '"127.0.0.1"', '"192.0.2.1"'), "192.0.2.1"),
    ],
    ids=["anchor", "office", "address"],
)
def test_a_gateway_that_cannot_start_says_why_and_ends(
    home: Path, spoil: Callable[[Path], None], named: str
) -> None:
    settings = home / "conf" / "gateway.toml"
    settings.write_text(settings.read_text("utf-8").replace("port = 8443", "port = 0"), "utf-8")
    settings.write_text(settings.read_text("utf-8").replace("port = 8444", "port = 0"), "utf-8")
    spoil(home)
    said = cvan_alone("run", home=home)
    assert said.code == 2
    assert "Traceback" not in said.err
    last = said.err.splitlines()[-1]
    assert last.startswith("cvan: the gateway cannot start")
    assert named in last


def test_json_is_json() -> None:
    """What --json prints is one value and nothing else."""
    for arguments in (("schema", "list", "--json"), ("check", IMPORT, IMPORT, "--json")):
        json.loads(cvan(*arguments).out)
