"""How to verify a bundle by hand: README.txt explains each step, verify.sh has the same commands to run.

The commands work in a folder of their own, ``$w``: what is unpacked stays as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from cryptography import x509

from gateway.evidence.signatures import raw_check
from gateway.evidence.verify import DSIG, XADES, epoch

_INTRODUCTION = """\
EVIDENCE OF ONE MESSAGE                                        BẰNG CHỨNG VỀ MỘT THÔNG ĐIỆP
==========================================================================================

submission {id}, reference {reference}
received {received_at} from {partner}, signed for {signer}: {outcome}

This file proves, without the gateway and without a network, what was received, who had signed it, what
was answered and decided, and that nothing of it was changed later.  You need openssl 3 and xmlsec1; the
commands below are for a Unix shell, in the folder into which you unpacked the bundle.  They may be run when
all certificates have expired: each signature is judged at the time when it was made.

Tệp này chứng minh, không cần cổng thông tin và không cần mạng: thông điệp nào đã được nhận, ai đã ký, đã
trả lời và quyết định những gì, và không có nội dung nào bị sửa đổi về sau.  Cần có openssl 3 và xmlsec1;
các lệnh dưới đây dùng cho Unix shell, chạy trong thư mục đã giải nén.  Có thể chạy cả khi mọi chứng thư số
đã hết hạn: mỗi chữ ký được kiểm tra tại thời điểm ký.

The short ways (cách nhanh):   python3 verify.pyz BUNDLE.zip --trust AUTHORITY.pem --gateway GATEWAY.pem
                               sh verify.sh    (the commands below, one after the other; các lệnh dưới đây)

WHAT YOU MUST KNOW BY ANOTHER WAY.  The fingerprints of step 2 say whose keys these are.  Compare them with
what the gateway's operator, the authority or the contract published.  Without that comparison you know
only that the bundle is consistent in itself, and that the holder of those keys made it.  Take verify.pyz, too,
from another source: what lies in a bundle proves no more than the bundle.

ĐIỀU CẦN BIẾT TỪ NGUỒN KHÁC.  Dấu vân tay ở bước 2 cho biết khóa thuộc về ai.  Hãy đối chiếu với thông tin
do đơn vị vận hành cổng, tổ chức chứng thực hoặc hợp đồng công bố.  Nếu không đối chiếu, chỉ có thể kết luận
rằng bộ bằng chứng nhất quán và do người giữ các khóa đó lập ra.  Cũng nên lấy verify.pyz từ nguồn khác.
"""

_SCRIPT = """\
#!/bin/sh
# The commands of README.txt.  In the folder of the unpacked bundle: sh verify.sh
# Ends with 0 where every step is good, with 1 at the first that is not.
wrong() { echo "WRONG: $1" >&2; exit 1; }
"""


class Signed(msgspec.Struct, frozen=True):
    """A signature to verify.  ``file``: a member, or ``$w/inner``; ``form`` and ``head``: as
    `verify.forms.form_of` says; ``folder``: of the certificates; ``at``: when these had to be valid, and the
    time of ``receipt``; ``out``: where a CMS signature's content goes."""

    file: str
    form: str
    head: str
    folder: str
    at: str
    receipt: str = ""
    out: str = "$w/content"


class Stamped(msgspec.Struct, frozen=True):
    """A time stamp by the authority of a folder of certificates, of a time; ``over``: the file that it is
    over, "" where that is a part of a message (of which the verifier knows where it begins and ends)."""

    token: str
    over: str
    folder: str
    at: str


class Plan(msgspec.Struct, frozen=True):
    """What there is to verify.  ``own``: folders of the checkpoints' chains by number, and their times."""

    index: Mapping[str, Any]
    seal: str
    own: Mapping[int, tuple[str, str]]
    stamps: Sequence[Stamped]
    received: Sequence[Signed]
    sent: Sequence[Signed]


Section = tuple[str, str, str, list[str]]


def readme(plan: Plan, files: Mapping[str, bytes]) -> str:
    """The text for this bundle."""
    parts = [_INTRODUCTION.format_map(plan.index)]
    for number, (title, title_vi, words, commands) in enumerate(_steps(plan, files), 1):
        parts.append(f"{number}. {title}\n   {title_vi}\n")
        parts += [f"   {words}\n"] if words else []
        parts += ["".join(f"    {line}\n" for line in command.split("\n")) for command in commands]
    return "\n".join(parts)


def script(plan: Plan, files: Mapping[str, bytes]) -> str:
    """The commands alone, each of which ends it where it fails."""
    parts = [_SCRIPT]
    for number, (title, _, _, commands) in enumerate(_steps(plan, files), 1):
        parts.append(f"\necho '{number}. {title}'\n")
        parts += [f"{{ {command}\n}} || wrong 'step {number}'\n" for command in commands]
    parts.append("\necho 'every step is good'\n")
    return "".join(parts)


def _steps(plan: Plan, files: Mapping[str, bytes]) -> Iterator[Section]:
    yield (
        "Nothing was changed, added or taken away since the bundle was made.",
        "Không có gì bị thay đổi, thêm vào hoặc lấy đi kể từ khi lập bộ bằng chứng.",
        "MANIFEST has the SHA-256 of every other file; MANIFEST.sig is the gateway's signature over it.",
        [
            "w=$(mktemp -d)",
            "sha256sum --check --strict --quiet MANIFEST",
            _NOTHING_ELSE,
            *_raw(files, plan.seal, "MANIFEST.sig", "MANIFEST"),
            *_attime(files, plan.seal, plan.index["made_at"]),
        ],
    )
    folders = sorted({n.rpartition("/")[0] for n in files if n.startswith("certificates/")})
    yield (
        "Whose keys these are.",
        "Các khóa này thuộc về ai.",
        "Of each folder, who signed, and the authority (or the same, where it is pinned itself).",
        [
            _ONE_EACH,
            *(
                f"openssl x509 -in {one} -noout -subject -fingerprint -sha256"
                for folder in folders
                for one in dict.fromkeys((_chain(files, folder)[0], _chain(files, folder)[-1]))
            ),
        ],
    )
    yield (
        "The checkpoints of the journal are signed, and stamped where an authority for time was asked.",
        "Các điểm kiểm soát của nhật ký được ký và đóng dấu thời gian (nếu có).",
        "The time that a stamp shows is printed.  The bundle is sealed by a key that a checkpoint names.",
        [c for number, (folder, at) in plan.own.items() for c in _checkpoint(number, folder, at, files)]
        + [c for one in plan.stamps if one.token.startswith("checkpoints/") for c in _stamp(one, files)]
        + ([_SEALER.format(_chain(files, plan.seal)[0])] if plan.own else []),
    )
    yield (
        "Every journal entry is under the root of a checkpoint.",
        "Mỗi mục nhật ký nằm dưới gốc cây của một điểm kiểm soát.",
        "An entry's file is two lines: the hash of the entry before, and the entry.",
        [_CLIMB],
    )
    yield (
        "The entries vouch for the files: each digest below stands in an entry.",
        "Nhật ký xác nhận các tệp: mỗi giá trị băm dưới đây có trong một mục nhật ký.",
        "",
        [_VOUCHED, _LINES],
    )
    yield (
        "The message was signed as received, by a certificate that was valid then.",
        "Thông điệp nhận được đã được ký bằng chứng thư số có hiệu lực tại thời điểm nhận.",
        _TIMES if plan.received else "It was not signed: that it came so is what the journal says.",
        [c for one in plan.received for c in _layer(one, plan.stamps, files)],
    )
    yield (
        "What the gateway answered is signed by the gateway.",
        "Các trả lời của cổng thông tin do cổng ký.",
        "",
        [c for one in plan.sent for c in _signed(one, files)],
    )


_TIMES = (
    "Of each OCSP response the times are printed: the message was received, or stamped, between This Update and "
    "Next Update."
)
_HASH = "openssl dgst -sha256 -r | cut -d ' ' -f 1"
_IMPRINT = (
    "openssl ts -reply -token_in -in {} -text | sed -n 's/^ *[0-9a-f]*0 - //p' | cut -c 1-47 | tr -d ' \\n-'"
)
_NOTHING_ELSE = """\
test "$(find . ! -type d | sed 's|^\\./||' | LC_ALL=C sort)" = \\
  "$( (cut -c 67- MANIFEST; echo MANIFEST; echo MANIFEST.sig) | LC_ALL=C sort)\""""
_ONE_EACH = """\
(for c in certificates/*/*.pem; do
  openssl x509 -in "$c" | cmp -s - "$c" || { echo "not one certificate: $c"; exit 1; }
done)"""
_SEALER = """\
grep -qix "key: $(openssl x509 -in {} -outform DER | openssl dgst -sha256 -r | cut -d ' ' -f 1)" \\
  checkpoints/*.txt"""
_CLIMB = f"""\
(for e in journal/*.txt; do
  test -e "${{e%.txt}}.path" || {{ echo "no checkpoint yet: $e"; continue; }}
  h=$({_HASH.replace("-r", '-r "$e"', 1)})
  h=$(printf 'leaf\\n%s\\n' "$h" | {_HASH})
  while read -r side s; do
    if [ "$side" = left ]; then set -- "$s" "$h"; else set -- "$h" "$s"; fi
    h=$(printf 'node\\n%s\\n%s\\n' "$1" "$2" | {_HASH})
  done < "${{e%.txt}}.path"
  grep -qx "root: $h" checkpoints/*.txt || {{ echo "not under a checkpoint: $e"; exit 1; }}
done)"""
_VOUCHED = f"""\
(for f in submission/body submission/record.json $(find messages sent decisions -type f 2>/dev/null); do
  case $f in
    */head.txt) continue;;
    */declaration.json | sent/*/body) where=$(dirname "$f")/record.json;;
    *) where=journal/*.txt;;
  esac
  grep -q "$({_HASH.replace("-r", '-r "$f"', 1)})" $where || {{ echo "not vouched for: $f"; exit 1; }}
done)"""
_LINES = f"""\
(while IFS= read -r line; do
  h=$(printf '%s' "$line" | {_HASH})
  grep -q "$h" journal/*.txt || {{ echo "not vouched for: $line"; exit 1; }}
done < timeline.jsonl)"""


def _chain(files: Mapping[str, bytes], folder: str) -> list[str]:
    names = [n for n in files if n.rpartition("/")[0] == folder and n.endswith(".pem")]
    return sorted(names, key=lambda n: int(n.rpartition("/")[2].partition(".")[0]))


def _raw(files: Mapping[str, bytes], folder: str, signature: str, octets: str) -> list[str]:
    """A raw signature."""
    leaf = _chain(files, folder)[0]
    key = "$w/key.pem"
    ways = raw_check(x509.load_pem_x509_certificate(files[leaf]))
    checks = [way.format(key=key, signature=signature, file=octets) for way in ways]
    return [f"openssl x509 -in {leaf} -pubkey -noout -out {key}", " ||\n".join(checks)]


def _attime(files: Mapping[str, bytes], folder: str, at: str, *more: str) -> list[str]:
    """The certificates at a time."""
    chain = _chain(files, folder)
    words = [*more, f"-trusted {chain[-1]}", *(f"-untrusted {one}" for one in chain[1:-1]), chain[0]]
    return [f"openssl verify -attime {epoch(at)} -no-CAfile -no-CApath -partial_chain {' '.join(words)}"]


def _checkpoint(number: int, folder: str, at: str, files: Mapping[str, bytes]) -> list[str]:
    name = f"checkpoints/{number}"
    return _raw(files, folder, f"{name}.sig", f"{name}.txt") + _attime(files, folder, at)


def _stamp(one: Stamped, files: Mapping[str, bytes]) -> list[str]:
    chain = _chain(files, one.folder)
    between = "".join(f" -untrusted {c}" for c in chain[:-1])
    over = f"-data {one.over}" if one.over else f"-digest $({_IMPRINT.format(one.token)})"
    return [
        f"openssl ts -verify -token_in -in {one.token} {over} -CAfile {chain[-1]}{between} "
        f"-partial_chain -attime {epoch(one.at)}",
        f"openssl ts -reply -token_in -in {one.token} -text | grep '^Time stamp'",
    ]


def _layer(one: Signed, stamps: Sequence[Stamped], files: Mapping[str, bytes]) -> list[str]:
    who = one.folder.rpartition("/")[2]
    proofs = sorted(n for n in files if n.startswith(f"proof/{who}/"))
    commands = _signed(one, files)
    chain = _chain(files, one.folder)
    for name in (n for n in proofs if n.endswith(".ocsp")):
        asked = [
            f"openssl ocsp -respin {name} -issuer {issuer} -cert {certificate} -no_nonce -CAfile {chain[-1]} "
            f"-partial_chain -attime {epoch(one.at)} -validity_period 2000000000 2>&1 | tee $w/ocsp &&\n"
            f"grep -q 'Response verify OK' $w/ocsp && grep -q ': good' $w/ocsp"
            for certificate, issuer in pairwise(chain)
        ]
        commands.append(" ||\n".join(asked))
    for name in (n for n in proofs if n.endswith(".crl")):
        commands.append(f"openssl crl -inform DER -in {name} -out $w/crl.pem")
        times = dict.fromkeys((one.at, one.receipt))
        words = ("-crl_check", "-CRLfile $w/crl.pem")
        commands.append(" ||\n".join(c for at in times for c in _attime(files, one.folder, at, *words)))
    for stamp in (s for s in stamps if s.token.startswith(f"proof/{who}/")):
        commands += _stamp(stamp, files)
    return commands


def _signed(one: Signed, files: Mapping[str, bytes]) -> list[str]:
    leaf, body = _chain(files, one.folder)[0], one.file
    commands = []
    if one.form == "xml":
        ids = " ".join(f"--id-attr:Id {n}" for n in (XADES, f"{DSIG}:Object", f"{DSIG}:KeyInfo"))
        # An xmlsec1 before 1.3 does not know RSA-PSS, nor any the newest algorithms; the verifier does.
        commands = [
            f"xmlsec1 --verify --enabled-key-data key-name --pubkey-cert-pem {leaf} {ids} {body} ||\n"
            f"python3 verify.pyz --xml {leaf} {body}"
        ]
    elif one.form in ("SMIME", "DER"):
        if one.head:
            commands = [f"cat {one.head} {body} > $w/message.eml"]
            body = "$w/message.eml"
        binary = " -binary" if one.form == "DER" else ""
        commands.append(
            f"openssl cms -verify -inform {one.form} -in {body} -nointern -certfile {leaf} "
            f"-noverify{binary} -out {one.out}"
        )
    else:
        commands = [f"echo '{body}: a form of signature that only the command of the gateway verifies'"]
    return commands + _attime(files, one.folder, one.at)
