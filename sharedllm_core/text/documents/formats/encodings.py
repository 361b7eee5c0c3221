"""Decoding of text files of unknown encoding."""

from ....errors import DocumentError

__all__ = ["decode"]

_SNIFFED_BYTES = 8192  # a zero byte among these marks a binary file


def decode(content: bytes) -> str:
    """Decode text of unknown encoding: by its byte order mark, as UTF-8, or by a detected encoding.

    Raises:
        DocumentError: the bytes are not text, or their encoding is not detected.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return content.decode(encoding)
    if b"\0" in content[:_SNIFFED_BYTES]:
        raise DocumentError("it is a binary file")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        guess = from_bytes(content).best()
    if guess is None:
        raise DocumentError("its encoding is not known", remedy="save it as UTF-8")
    return str(guess)
