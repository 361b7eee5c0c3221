"""Decoding: rows of prompts become answers, token by token."""
