"""Events as they are shown to whoever may read history, but not personal data: neither clear nor ciphertext."""

from dataclasses import is_dataclass
from typing import Any

import orjson

from domain.events.envelope import Recorded, data_wire, wire
from domain.events.fields import Personal

MASK = "***"
_OPTIONS = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_SORT_KEYS


def masked_json(value: Any) -> bytes:
    """Return a value as JSON, with personal data in it as "***"; dates and times as RFC 3339."""
    return orjson.dumps(value, default=_plain, option=_OPTIONS)


def cloud_event(recorded: Recorded) -> bytes:
    """Return an event as CloudEvents JSON with its position in the ledger, personal data masked."""
    return masked_json(
        {**wire(recorded.event), "datacontenttype": "application/json", "position": recorded.position}
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Personal):
        return MASK
    if is_dataclass(value):
        return data_wire(value)
    raise TypeError(f"{type(value).__name__} has no place in an answer")
