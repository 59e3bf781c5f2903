"""What schemas share."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from evidence.clock import to_text

#: A moment in the one text form of the project.
Moment = Annotated[datetime, PlainSerializer(to_text, return_type=str)]
Text = Annotated[str, Field(max_length=4_000)]
Short = Annotated[str, Field(max_length=200)]


class Request(BaseModel):
    """A request body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Answer(BaseModel):
    """A response body."""

    model_config = ConfigDict(frozen=True)
