"""Text from elsewhere, made fit for a terminal and for a line of a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with U+FFFD for each control, line break or mark of direction: whatever is no visible character."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)
