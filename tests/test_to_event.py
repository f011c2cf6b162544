"""An event is made of a command's checked fields; what the command did not check is checked then."""

from datetime import date

import pytest
from pydantic import ValidationError

from domain.commands import account as cmd
from domain.commands.asking import to_event
from domain.events import account as ev
from domain.events.fields import Identifier, Payload, Reference, value

CHARGE = cmd.PostCharge(
    charge_id="C-1",
    kind="monthly",
    amount_fen=9_900,
    period_start=date(2014, 11, 1),
    period_end=date(2014, 12, 1),
)
DUE = date(2014, 12, 16)


@value
class Strict(Payload):
    """A payment with a method that has to be one line."""

    payment_id: Identifier
    method: Reference


def test_shared_and_computed_fields_make_the_event() -> None:
    """Given a command, the event has its fields, what was computed, and defaults for what nobody gave."""
    made = to_event(ev.ChargePosted, CHARGE, due_on=DUE)
    assert made == ev.ChargePosted(
        charge_id="C-1",
        kind="monthly",
        amount_fen=9_900,
        period_start=date(2014, 11, 1),
        period_end=date(2014, 12, 1),
        due_on=DUE,
        basis_event_id=None,
    )


@pytest.mark.parametrize(
    ("computed", "field"),
    [
        ({"due_on": date(2300, 1, 1)}, "due_on"),
        ({"due_on": DUE, "amount_fen": -1}, "amount_fen"),
        ({"due_on": DUE, "basis_event_id": "a\nb"}, "basis_event_id"),
        ({"due_on": DUE, "period_end": date(2014, 10, 1)}, "period_end"),
        ({}, "due_on"),
        ({"due_on": DUE, "due_by": DUE}, "due_by"),
    ],
    ids=["out of bounds", "in a shared field's place", "not a text", "not as a whole", "none", "no field"],
)
def test_what_was_computed_is_checked(computed: dict[str, object], field: str) -> None:
    """Given something computed that the event may not have, no event is made, and the field is named."""
    with pytest.raises(ValidationError, match=field):
        to_event(ev.ChargePosted, CHARGE, **computed)


def test_a_field_for_which_the_command_asks_less_is_checked_again() -> None:
    """Given a command whose field is looser than an event's of that name, no event is made of what it let through."""
    received = cmd.ReceivePayment(payment_id="P-1", amount_fen=1, value_date=DUE, method="two\nlines")
    with pytest.raises(ValidationError, match="method"):
        to_event(Strict, received)
