"""Assurance: is everything still what it was? Verification, rebuilding, health, findings, deadlines."""
