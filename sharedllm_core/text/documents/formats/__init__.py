"""Text extraction from files: one module per format, and the registry that chooses among them."""

from .registry import extract_text, has_reader

__all__ = ["extract_text", "has_reader"]
