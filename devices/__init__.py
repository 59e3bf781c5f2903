"""Recorders and other sources: how they are found, opened, listed, read, and cleared when (and only when) a receipt says so."""
