"""Text of Word files: what Word shows, with changes accepted, clause numbers, notes, headers and footers."""

from .reader import read_word

__all__ = ["read_word"]
