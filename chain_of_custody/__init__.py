"""The custody log: signed entries in a Merkle tree that outsiders can check with their own tools.

Standard library and ``cryptography`` only; the database is reached through ``evidence.ports.Outbox``.
"""

from chain_of_custody.checkpoint import Checkpoint, NoteVerifier
from chain_of_custody.entry import Entry
from chain_of_custody.entry import parse as parse_entry
from chain_of_custody.keys import SigningKey, VerifyingKey
from chain_of_custody.log import Sealer
from chain_of_custody.publish import create_published_directory
from chain_of_custody.recorder import EntryRecorder

__all__ = [
    "Checkpoint",
    "Entry",
    "EntryRecorder",
    "NoteVerifier",
    "Sealer",
    "SigningKey",
    "VerifyingKey",
    "create_published_directory",
    "parse_entry",
]
