"""Text processing: files to documents, documents to token ids, token ids to chunks.

Runs no model.
"""
