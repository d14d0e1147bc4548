"""Examples of the HTTP interface's JSON values, by shape; the tests read each as what it is an example of."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

ID = "01m9x4t2r8qz5v7k3c6n0d1e2f"
AT = "2026-03-02T08:15:30Z"
_TOO_LARGE = (
    "The body has 20971520 octets or more; at most 10485760 are taken. "
    "Split the interchange, or agree on a higher bound with the operator."
)
_TOO_LARGE_VI = (
    "Nội dung có từ 20971520 byte trở lên; chỉ nhận tối đa 10485760 byte. "
    "Hãy chia nhỏ bản tin, hoặc thỏa thuận giới hạn cao hơn với đơn vị vận hành."
)
_UNKNOWN = (
    "Nobody can say now whether the certificate of CN=Importer was revoked; the message is kept and waits. "
    "Wait for the receipt in the mailbox; do not send again."
)
_UNKNOWN_VI = (
    "Hiện chưa thể xác định chứng thư của CN=Importer có bị thu hồi hay không; thông điệp được giữ lại và chờ. "
    "Hãy chờ biên nhận trong hộp thư; không cần gửi lại."
)
_MISSING = "The mandatory data element 1004 is missing. Send a value for the data element."
_MISSING_VI = "Thiếu phần tử dữ liệu bắt buộc 1004. Gửi giá trị cho phần tử dữ liệu này."
EXAMPLES: dict[str, Json] = {
    "Summary": {
        "submission": ID,
        "outcome": "partly",
        "repeated": False,
        "media_type": "application/xml",
        "receipt_id": "01m9x4t2s1aaaaaaaaaaaaaaaa",
        "receipt": "PE1ldGFEYXRhPi4uLjwvTWV0YURhdGE+",
    },
    "Kept": {
        "submission": ID,
        "outcome": "held",
        "repeated": False,
        "findings": [
            {
                "code": "SIG302",
                "severity": "error",
                "place": {"part": "certificate"},
                "expected": "",
                "found": "CN=Importer",
                "text": _UNKNOWN,
                "text_vi": _UNKNOWN_VI,
            }
        ],
    },
    "Status": {
        "submission": ID,
        "reference": "MANIFEST-4711",
        "outcome": "partly",
        "received_at": AT,
        "receipt": "01m9x4t2s1aaaaaaaaaaaaaaaa",
        "messages": [
            {
                "ordinal": 1,
                "type": "CUSCAR",
                "reference": "1",
                "outcome": "accepted",
                "lrn": "MANIFEST-4711",
                "registration": "26VN0000012345",
                "decision": "green",
            },
            {
                "ordinal": 2,
                "type": "CUSCAR",
                "reference": "2",
                "outcome": "rejected",
                "findings": [
                    {
                        "code": "EDI013",
                        "severity": "error",
                        "place": {"message": "2", "segment": 2, "tag": "BGM", "element": 2, "offset": 188},
                        "expected": "1004",
                        "found": "",
                        "text": _MISSING,
                        "text_vi": _MISSING_VI,
                    }
                ],
            },
        ],
        "timeline": [{"about": ID, "at": AT, "what": "received", "detail": "https"}],
    },
    "Mailbox": {
        "entries": [
            {
                "id": "01m9x4t2s1aaaaaaaaaaaaaaaa",
                "kind": "green",
                "about": f"{ID}.1",
                "reference": "MANIFEST-4711",
                "media_type": "application/xml",
                "size": 4312,
                "created_at": AT,
            }
        ],
        "next": "",
    },
    "Acknowledged": {"acknowledged": 1},
    "Live": {"live": True},
    "Ready": {
        "ready": False,
        "parts": {"ledger": False, "disk": True},
        "reasons": {"ledger": "the server takes nothing: it is read-only, or a standby"},
    },
    "Problem": {
        "type": "/docs#API413",
        "title": "Content Too Large",
        "status": 413,
        "detail": _TOO_LARGE,
        "request": ID,
        "findings": [
            {
                "code": "API413",
                "severity": "error",
                "place": {},
                "expected": "10485760",
                "found": "20971520",
                "text": _TOO_LARGE,
                "text_vi": _TOO_LARGE_VI,
            }
        ],
    },
}

_HANDED_OVER = f"{ID}.1"
_TOLD = f"{ID}.1.01m9x4t2s1aaaaaaaaaaaaaaaa.d"
_PUSHED = f"{_TOLD}.p"
_WAITING = {
    "id": _PUSHED,
    "state": "dead",
    "destination": "push:vanlink",
    "payload": _TOLD,
    "due_at": AT,
    "attempts": 1,
    "error": "API604 410",
    "since": AT,
    "under_way": False,
    "behind": "",
}
_CHANGE = {
    "pointer": "Declaration/GoodsShipment/ExitOffice/ID",
    "before": "VN0O1",
    "after": "VN001",
}
EXAMPLES |= {
    "Deliveries": {"deliveries": [_WAITING], "next": "dead.4711.push:vanlink"},
    "Shown": {
        "delivery": {
            **_WAITING,
            "id": _HANDED_OVER,
            "destination": "backend:clearance",
            "payload": _HANDED_OVER,
        },
        "carries": {
            "what": "declaration",
            "about": _HANDED_OVER,
            "type": "IM",
            "reference": "LRN-4711",
            "partner": "anphat",
            "octets": 2210,
        },
        "corrections": [
            {
                "number": 1,
                "how": "edited",
                "at": AT,
                "who": "mai",
                "why": "office code mistyped: agreed with An Phat by telephone",
                "original": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "address": "",
                "places": [_CHANGE["pointer"]],
            }
        ],
        "history": [{"at": AT, "what": "delivery-corrected", "note": "mai: office code mistyped"}],
    },
    "HandedOver": {
        "delivery": _HANDED_OVER,
        "original": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "declaration": {
            "kind": "IM",
            "root": {"name": "Declaration", "values": [{"name": "FunctionCode", "text": "9"}]},
        },
        "changes": [_CHANGE],
    },
    "Acted": {"id": _HANDED_OVER, "state": "due", "changes": [_CHANGE]},
    "Destination": {
        "destination": "push:vanlink",
        "state": "open",
        "failures": 7,
        "since": AT,
        "probe_at": AT,
        "error": "API602 refused",
        "paused_at": None,
        "paused_by": "",
        "paused_for": "",
        "due": 12,
        "dead": 1,
    },
    "DeadLetters": {
        "destination": "push:vanlink",
        "error": "API604 410",
        "count": 3,
        "oldest": AT,
        "newest": AT,
    },
    "Again": {"reason": "receiver mended", "reread": False},
    "Reason": {"reason": "unreadable at customs: file it anew"},
    "Editing": {
        "reason": "office code mistyped: agreed with An Phat by telephone",
        "declaration": {
            "kind": "IM",
            "root": {"name": "Declaration", "values": [{"name": "FunctionCode", "text": "9"}]},
        },
    },
}
