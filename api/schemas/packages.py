"""What is asked for when a package of a case is made."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class PackageRequest(BaseModel):
    """A package of a case: for whom, what for, on what authority."""

    model_config = ConfigDict(extra="forbid")

    form: Literal["full", "publication"] = Field(
        default="full", description="`full` with originals; `publication` with approved treated copies only (R21)."
    )
    purpose: str = Field(max_length=32, description="A purpose of use, by its code.")
    recipient: str = Field(min_length=1, max_length=200)
    authority: str = Field(default="", max_length=200, description="The document it rests on.")
