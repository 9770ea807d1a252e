"""Exact reasoning about the texts of a SIP message: which conditions hold together, and of which message."""
