"""The stand-alone verifier as bytes, to hand out with evidence: beside this module in a wheel, else in the source tree."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from evidence.errors import ConfigError

NAME: Final = "liuhen_verify.py"


def verifier_program() -> bytes:
    """The one file of the verifier.

    Raises:
        ConfigError: This installation lacks it.
    """
    here = Path(__file__).resolve().parent
    for place in (here / "verifier" / NAME, here.parent / "verifier" / NAME):
        try:
            return place.read_bytes()
        except FileNotFoundError:
            continue
    raise ConfigError("this installation lacks the stand-alone verifier", todo="Install Liuhen again.")
