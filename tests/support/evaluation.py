"""Encoders and categories of a small comparison."""

from collections.abc import Callable

from models.domain.types import EncoderSpec
from models.evaluation.retrieval_metrics import Floats

HOSTILE = "<script>alert('x')</script> & \"Co\" / [bold]Shoes[/bold]"
CATEGORIES = ("Home / Lamps", HOSTILE, "Garden / Chairs")

GOOD = EncoderSpec("resnet50", 8, "a" * 64)
BAD = EncoderSpec("hog", 8, "b" * 64)

Vectors = Callable[[float], Floats]
