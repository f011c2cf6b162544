"""What every question under /investigations is asked with, and how it is answered."""

from typing import Annotated, Any

from fastapi import Path, Query
from starlette.responses import Response

from api.masking import masked_json
from domain.events.fields import Identifier, StreamKind
from domain.ledger.recorder import POSITION_MAX

MOMENT_MAX_CHARS = 40  # the longest RFC 3339 time has 32

Kind = Annotated[StreamKind, Path(examples=["account"])]
At = Annotated[
    str | None,
    Query(
        max_length=MOMENT_MAX_CHARS,
        description="a day or a time; now, where not given",
        examples=["2014-12-09"],
    ),
]
KnownAt = Annotated[
    str | None,
    Query(max_length=MOMENT_MAX_CHARS, description="as it was known then; now, where not given"),
]
Position = Annotated[int | None, Query(ge=0, le=POSITION_MAX, description="as the log stood then")]
Named = Annotated[Identifier, Path(alias="id", examples=["A-FTTH"])]


def answered(answer: dict[str, Any]) -> Response:
    """Return an answer with personal data masked and the position it stands for."""
    headers = {"Recount-Position": str(answer["position"])}
    return Response(masked_json(answer), 200, headers, "application/json")
