"""Files to documents, documents to token ids, ids to chunks.

Runs no model.
"""
