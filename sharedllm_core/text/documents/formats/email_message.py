"""Text of e-mail messages: the header lines people read, the body, and attachments."""

import email
import email.policy
from collections.abc import Callable, Sequence
from email.message import MIMEPart

from ....errors import DocumentError
from ..extracted import Extracted
from .encodings import decode_text
from .html import read_html, read_html_text
from .text_builder import TextBuilder

__all__ = ["read_email"]

_HEADERS = ("From", "To", "Cc", "Bcc", "Reply-To", "Date", "Subject")
_MAX_DEPTH = 5


def read_email(content: bytes, read_attachment: Callable[[str, bytes], Extracted | None]) -> Extracted:
    """Extract a message; each attachment is a heading with its name, followed by its text.

    Args:
        content: of the file.
        read_attachment: reads a file by its name and content; `None` if its kind has no text.
    """
    message = email.message_from_bytes(content, policy=email.policy.default)
    if not message.keys():
        raise ValueError("it has no header lines")
    builder = TextBuilder()
    _add_message(builder, message, read_attachment, depth=0)
    return builder.extracted()


def _add_message(
    builder: TextBuilder,
    message: MIMEPart,
    read_attachment: Callable[[str, bytes], Extracted | None],
    depth: int,
) -> None:
    if depth > _MAX_DEPTH:
        raise DocumentError(f"its messages are nested more than {_MAX_DEPTH} deep")
    for name in _HEADERS:
        builder.add_blocks(f"{name}: {value}" for value in message.get_all(name, []))
    body = message.get_body(("plain", "html"))
    if body is not None:
        builder.add_blank_line()
        builder.add_extracted(_body_text(body))
    for part in _attachments(message, body):
        if part.get_content_type() == "message/rfc822":
            builder.add_heading("Attached message", 2)
            _add_message(builder, part.get_content(), read_attachment, depth + 1)
        else:
            _add_attachment(builder, part, read_attachment)


def _attachments(message: MIMEPart, body: MIMEPart | None) -> list[MIMEPart]:
    """The parts besides the body, without its other versions and the pictures in it."""
    found: list[MIMEPart] = []
    parts = [message]
    while parts:
        part = parts.pop(0)
        kind = part.get_content_type()
        if kind == "multipart/alternative" and body is not None and _holds(part, body):
            parts[:0] = [inner for inner in part.iter_parts() if inner.is_multipart() and _holds(inner, body)]
        elif part.is_multipart() and kind != "message/rfc822":
            parts[:0] = list(part.iter_parts())
        elif part is not body and not (part.get("Content-ID") and part.get_content_maintype() == "image"):
            found.append(part)
    return found


def _holds(part: MIMEPart, body: MIMEPart) -> bool:
    return any(inner is body for inner in part.walk())


def _content(part: MIMEPart) -> bytes:
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _body_text(body: MIMEPart) -> Extracted:
    content = _content(body)
    charset = body.get_content_charset() or "utf-8"
    is_html = body.get_content_subtype() == "html"
    try:
        text = content.decode(charset)
    except (LookupError, UnicodeDecodeError):
        if is_html:
            return read_html(content)
        decoded = decode_text(content)
        return _plain(decoded.text, [f"a part of the message: {warning}" for warning in decoded.warnings])
    return read_html_text(text) if is_html else _plain(text)


def _plain(text: str, warnings: Sequence[str] = ()) -> Extracted:
    builder = TextBuilder()
    builder.add_block(text)
    builder.warnings += warnings
    return builder.extracted()


def _add_attachment(
    builder: TextBuilder, part: MIMEPart, read_attachment: Callable[[str, bytes], Extracted | None]
) -> None:
    name = part.get_filename() or ""
    if not name and part.get_content_maintype() == "text":
        builder.add_extracted(_body_text(part))
        return
    builder.add_heading(f"Attachment: {name or part.get_content_type()}", 2)
    try:
        extracted = read_attachment(name, _content(part))
    except (DocumentError, ImportError) as error:
        builder.warnings.append(f"the attachment {name} cannot be read: {error}")
        return
    if extracted is None:
        builder.warnings.append(f"the attachment {name or part.get_content_type()} has no text that can be read")
    else:
        builder.add_extracted(extracted)
