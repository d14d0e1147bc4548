"""README.txt of a bundle: how to verify it by hand, with the commands to type.

Every command stands on lines that begin with ``    $ `` (and ``    > `` where it goes on); a test runs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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

The short way (cách nhanh):   python3 verify.py BUNDLE.zip --trust FINGERPRINT

WHAT YOU MUST KNOW BY ANOTHER WAY.  The fingerprints of step 2 say whose keys these are.  Compare them with
what the gateway's operator, the authority or the contract published.  Without that comparison you know
only that the bundle is consistent in itself, and that the holder of those keys made it.

ĐIỀU CẦN BIẾT TỪ NGUỒN KHÁC.  Dấu vân tay ở bước 2 cho biết khóa thuộc về ai.  Hãy đối chiếu với thông tin
do đơn vị vận hành cổng, tổ chức chứng thực hoặc hợp đồng công bố.  Nếu không đối chiếu, chỉ có thể kết luận
rằng bộ bằng chứng nhất quán và do người giữ các khóa đó lập ra.
"""


def readme(index: Mapping[str, Any], files: Mapping[str, bytes]) -> str:
    """The text for this bundle."""
    parts = [_INTRODUCTION.format_map(index)]
    for number, (title, title_vi, words, commands) in enumerate(_steps(index, files), 1):
        parts.append(f"{number}. {title}\n   {title_vi}\n")
        parts += [f"   {words}\n"] if words else []
        parts += [_shown(command) for command in commands]
    return "\n".join(parts)


Section = tuple[str, str, str, list[str]]


def _steps(index: Mapping[str, Any], files: Mapping[str, bytes]) -> Iterator[Section]:
    yield (
        "Nothing was changed since the bundle was made.",
        "Không có gì thay đổi kể từ khi lập bộ bằng chứng.",
        "MANIFEST has the SHA-256 of every other file; MANIFEST.sig is the gateway's signature over it.",
        [
            "sha256sum --check --strict --quiet MANIFEST",
            *_raw(files, index["gateway"], "MANIFEST.sig", "MANIFEST"),
        ],
    )
    folders = sorted({n.rpartition("/")[0] for n in files if n.startswith("certificates/")})
    yield (
        "Whose keys these are.",
        "Các khóa này thuộc về ai.",
        "The last certificate of each folder is its authority (or the key's own, where it is pinned).",
        [
            f"openssl x509 -in {_chain(files, folder)[-1]} -noout -subject -fingerprint -sha256"
            for folder in folders
        ],
    )
    yield (
        "The journal's checkpoints are signed, and stamped where an authority for time was asked.",
        "Các điểm kiểm soát của nhật ký được ký và đóng dấu thời gian (nếu có).",
        "",
        [c for one in index["checkpoints"] for c in _checkpoint(one, files)],
    )
    yield (
        "Every journal entry is under the root of a checkpoint.",
        "Mỗi mục nhật ký nằm dưới gốc cây của một điểm kiểm soát.",
        "An entry's file is two lines: the hash of the entry before, and the entry.",
        [_CLIMB] if any(index["journal"].values()) else [],
    )
    yield (
        "The entries vouch for the files: each digest below stands in an entry.",
        "Nhật ký xác nhận các tệp: mỗi giá trị băm dưới đây có trong một mục nhật ký.",
        "",
        [_VOUCHED],
    )
    yield (
        "The message was signed as received, by a certificate that was valid then.",
        "Thông điệp nhận được đã được ký bằng chứng thư số có hiệu lực tại thời điểm nhận.",
        "",
        [c for one in index["layers"] for c in _layer(one, files)],
    )
    yield (
        "What the gateway answered is signed by the gateway.",
        "Các trả lời của cổng thông tin do cổng ký.",
        "",
        [c for one in index["sent"] if one["gateway"] for c in _signed(one, one["gateway"], files)],
    )


_HASH = "openssl dgst -sha256 -r | cut -d ' ' -f 1"
_CLIMB = f"""\
for e in journal/*.txt; do
  test -e "${{e%.txt}}.path" || {{ echo "no checkpoint yet: $e"; continue; }}
  h=$({_HASH.replace("-r", '-r "$e"', 1)})
  h=$(printf 'leaf\\n%s\\n' "$h" | {_HASH})
  while read -r side s; do
    if [ "$side" = left ]; then set -- "$s" "$h"; else set -- "$h" "$s"; fi
    h=$(printf 'node\\n%s\\n%s\\n' "$1" "$2" | {_HASH})
  done < "${{e%.txt}}.path"
  grep -qx "root: $h" checkpoints/*.txt || {{ echo "not under a checkpoint: $e"; exit 1; }}
done"""
_VOUCHED = f"""\
for f in submission/body submission/record.json $(find messages sent decisions -name '*.json' 2>/dev/null); do
  case $f in */declaration.json) where=$(dirname "$f")/record.json;; *) where=journal/*.txt;; esac
  grep -q "$({_HASH.replace("-r", '-r "$f"', 1)})" $where || {{ echo "not vouched for: $f"; exit 1; }}
done"""


def _shown(command: str) -> str:
    first, *more = command.split("\n")
    return "\n".join((f"    $ {first}", *(f"    > {line}" for line in more))) + "\n"


def _chain(files: Mapping[str, bytes], folder: str) -> list[str]:
    names = [n for n in files if n.rpartition("/")[0] == folder and n.endswith(".pem")]
    return sorted(names, key=lambda n: int(n.rpartition("/")[2].partition(".")[0]))


def _raw(files: Mapping[str, bytes], folder: str, signature: str, octets: str) -> list[str]:
    """A raw signature, and its certificate at the time."""
    leaf = _chain(files, folder)[0]
    key = "key-" + folder.rpartition("/")[2] + ".pem"
    ways = raw_check(x509.load_pem_x509_certificate(files[leaf]))
    checks = [way.format(key=key, signature=signature, file=octets) for way in ways]
    return [f"openssl x509 -in {leaf} -pubkey -noout -out {key}", " ||\n".join(checks)]


def _attime(files: Mapping[str, bytes], folder: str, at: str) -> list[str]:
    chain = _chain(files, folder)
    between = "".join(f" -untrusted {one}" for one in chain[1:-1])
    return [
        f"openssl verify -attime {epoch(at)} -no-CAfile -no-CApath -partial_chain "
        f"-trusted {chain[-1]}{between} {chain[0]}"
    ]


def _checkpoint(one: Mapping[str, Any], files: Mapping[str, bytes]) -> list[str]:
    name = f"checkpoints/{one['number']}"
    commands = _raw(files, one["gateway"], f"{name}.sig", f"{name}.txt")
    commands += _attime(files, one["gateway"], one["at"])
    if one["stampers"]:
        chain = _chain(files, one["stampers"])
        between = "".join(f" -untrusted {c}" for c in chain[:-1])
        commands.append(
            f"openssl ts -verify -token_in -in {name}.tst -data {name}.sig -CAfile {chain[-1]}{between} "
            f"-partial_chain -attime {epoch(one['stamped_at'])}"
        )
    return commands


def _layer(one: Mapping[str, Any], files: Mapping[str, bytes]) -> list[str]:
    folder = f"certificates/{one['who']}"
    return _signed(one, folder, files) if _chain(files, folder) else []


def _signed(one: Mapping[str, Any], folder: str, files: Mapping[str, bytes]) -> list[str]:
    leaf, body = _chain(files, folder)[0], one["file"]
    commands = []
    if one["form"] == "xml":
        ids = " ".join(f"--id-attr:Id {n}" for n in (XADES, f"{DSIG}:Object", f"{DSIG}:KeyInfo"))
        # An xmlsec1 before 1.3 does not know RSA-PSS, nor any the newest algorithms; the verifier does.
        commands = [
            f"xmlsec1 --verify --enabled-key-data key-name --pubkey-cert-pem {leaf} {ids} {body} ||\n"
            f"python3 verify.py --xml {leaf} {body}"
        ]
    elif one["form"] in ("SMIME", "DER"):
        if one.get("head"):
            commands = [f"cat {one['head']} {body} > message.eml"]
            body = "message.eml"
        out = one.get("out", "content")
        binary = " -binary" if one["form"] == "DER" else ""
        commands.append(
            f"openssl cms -verify -inform {one['form']} -in {body} -nointern -certfile {leaf} "
            f"-noverify{binary} -out {out}"
        )
    return commands + _attime(files, folder, one["at"])
