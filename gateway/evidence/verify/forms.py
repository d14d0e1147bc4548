"""How a message carries its signature."""

from __future__ import annotations

XML, SMIME, DER, OTHER = "xml", "SMIME", "DER", "other"
_XML_TYPES = frozenset({"application/xml", "text/xml"})
_CMS_TYPES = frozenset({"multipart/signed", "application/pkcs7-mime", "application/x-pkcs7-mime"})


def form_of(media_type: str, body: bytes) -> tuple[str, bytes]:
    """``xml``; ``SMIME`` and ``DER`` as ``openssl cms`` reads them; ``other``: a form that these programs do
    not know.  And the MIME header that the transport carried beside the body, b"" where it needs none."""
    essence = media_type.partition(";")[0].strip().lower()
    if essence in _XML_TYPES:
        return XML, b""
    if essence not in _CMS_TYPES:
        return OTHER, b""
    if body[:13].lower() == b"mime-version:":
        return SMIME, b""
    if essence != "multipart/signed" and body[:1] == b"0" and body[1:2] >= b"\x80":
        return DER, b""
    head = f"MIME-Version: 1.0\r\nContent-Type: {media_type}\r\n"
    if essence != "multipart/signed":
        head += "Content-Transfer-Encoding: base64\r\n"
    return SMIME, f"{head}\r\n".encode("utf-8", "replace")
