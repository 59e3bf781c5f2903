"""Media: what a recording is, what condition it is in, and derivatives by which people watch it. Never touches an original.

Public face: :func:`describe` (ingest), :func:`make_viewing` and :func:`webvtt` (reading services), the values they return,
and the pure :func:`plan`. Everything that opens a file runs ffmpeg in the kernel's sandbox.
"""

from media.describe import Description, Product, describe
from media.facts import AudioFacts, MediaFacts, PacketFacts, TextFacts, VideoFacts
from media.ladder import ViewingPlan, plan, viewing_media_type
from media.sheet import webvtt
from media.tools import Progress
from media.viewing import Recipe, make, make_viewing

__all__ = [
    "AudioFacts",
    "Description",
    "MediaFacts",
    "PacketFacts",
    "Product",
    "Progress",
    "Recipe",
    "TextFacts",
    "VideoFacts",
    "ViewingPlan",
    "describe",
    "make",
    "make_viewing",
    "plan",
    "viewing_media_type",
    "webvtt",
]
