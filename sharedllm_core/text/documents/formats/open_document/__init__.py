"""Text of OpenDocument files: texts, spreadsheets and presentations."""

from .reader import read_open_document

__all__ = ["read_open_document"]
