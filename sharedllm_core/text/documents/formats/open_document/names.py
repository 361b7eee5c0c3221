"""Namespaces of OpenDocument."""

__all__ = ["DRAW", "FO", "OFFICE", "STYLE", "TABLE", "TEXT"]

_PREFIX = "{urn:oasis:names:tc:opendocument:xmlns:"
TEXT = f"{_PREFIX}text:1.0}}"
TABLE = f"{_PREFIX}table:1.0}}"
STYLE = f"{_PREFIX}style:1.0}}"
OFFICE = f"{_PREFIX}office:1.0}}"
DRAW = f"{_PREFIX}drawing:1.0}}"
FO = f"{_PREFIX}xsl-fo-compatible:1.0}}"
