"""Reads the body of a recommendation's request."""

from fastapi import Request

from api.forms import BodyKind, kind_of_body, read_json
from api.recommendations.schemas import RecommendationIn


async def read_recommendation(request: Request) -> RecommendationIn:
    """What is asked for, as JSON. Raises UnsupportedBody, MalformedBody and InvalidInput."""
    await kind_of_body(request, [BodyKind.JSON])
    return await read_json(request, RecommendationIn)
