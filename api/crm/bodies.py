"""What a command's request looks like: an envelope, and the command's own fields under `data`.

Generated from the commands, so that each has its own checked form in the OpenAPI document.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from domain.commands.asking import Command
from domain.events.envelope import REGION_MAX_CHARS, Channel, check_actor, check_region
from domain.events.fields import Instant, MalformedError, Personal, Reference

Actor = Annotated[
    Reference, AfterValidator(check_actor), Field(description="kind/ID: staff/S-01, customer/P-1")
]
RegionName = Annotated[
    str,
    Field(max_length=REGION_MAX_CHARS, description="province and city: heilongjiang.harbin"),
    AfterValidator(check_region),
]


class Envelope(BaseModel):
    """Who asks, through which channel, and when it happened in the world."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    actor: Annotated[
        Actor | None,
        Field(description="the token's own where it is not given; another only if it may act for it"),
    ] = None
    channel: Channel
    region: Annotated[
        RegionName | None, Field(description="the subject's own where it is not given; it says which ledger")
    ] = None
    time: Annotated[Instant | None, Field(description="when it happened; now, where it is not given")] = None
    actororg: Annotated[Reference | None, Field(description="branch, store or department of the actor")] = (
        None
    )
    evidenceref: Annotated[Reference | None, Field(description="a document, recording or receipt")] = None
    correlationid: Annotated[Reference | None, Field(description="what this belongs to")] = None
    causationid: Annotated[Reference | None, Field(description="the event that caused it")] = None


class OpeningEnvelope(Envelope):
    """The envelope of a command that may open a stream: it says in which region, and so in which ledger."""

    region: Annotated[
        RegionName, Field(description="province and city of the new stream: it says which ledger")
    ]


def in_clear(data: Command) -> Command:
    """Return a command if its personal data is in clear; raises MalformedError that names the field.

    The sealed form is for exports alone: a ciphertext that came with a command would open nowhere.
    """
    for name in data.__pydantic_fields__:  # type: ignore[attr-defined]
        value = getattr(data, name)
        if isinstance(value, Personal) and value.clear is None:
            raise MalformedError(name, "should be text")
    return data


def body_of(command: type[Command]) -> type[Envelope]:
    """Return the model of a command's request."""
    base = OpeningEnvelope if command.OPENS else Envelope
    data: Any = Annotated[command, AfterValidator(in_clear)]
    return create_model(
        f"{command.__name__}Request", __base__=base, __doc__=command.__doc__, data=(data, ...)
    )
