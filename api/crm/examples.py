"""An example of every command, made from its fields: by the field's name, else by its type.

What a command says beside its fields (which of two debts, which end of a period) stands in OVERRIDES.
"""

import types
from datetime import date, datetime
from typing import Any, Literal, Union, get_args, get_origin

from domain.commands.asking import Command
from domain.events.fields import Personal

MOMENT = "2014-12-09T11:00:00+08:00"
DAY = "2014-12-09"
_VALUES: dict[str, Any] = {
    "account_id": "A-1",
    "account_ids": ["A-1"],
    "action_id": "CA-1",
    "address": "example address",
    "amount_fen": 10_000,
    "approver": "staff/M-01",
    "basis_account_id": "A-1",
    "bill_id": "B-1",
    "body": "provincial regulator",
    "by": "provincial head",
    "case_id": "CASE-1",
    "category": "billing",
    "charge_id": "CH-1",
    "charge_ids": ["CH-1"],
    "citation": "Telecommunications Regulations, article 34",
    "commitment_id": "CM-1",
    "contact_point_id": "CP-1",
    "contract_terms": {
        "payment_deadline_days": 10,
        "late_fee_start": "after_due",
        "restore_hours": 24,
        "suspend_after_days": 30,
        "terminate_after_days": 90,
    },
    "credit_id": "CR-1",
    "dealer_id": "D-1",
    "deposit_id": "DP-1",
    "end": "2015-12-09",
    "entry_id": "BL-1",
    "evidence_event_ids": ["urn:recount:case:harbin#harbin-011"],
    "evidence_id": "EV-1",
    "fee_id": "LF-1",
    "fields": ["name"],
    "finding_id": "F-1",
    "finding_ids": ["F-1"],
    "handler_id": "S-01",
    "hold_id": "H-1",
    "id_hash": "0" * 64,
    "id_number": "example number",
    "id_type": "resident_id",
    "instalments": [{"due_on": "2015-01-10", "amount_fen": 10_000}],
    "into_party_id": "P-2",
    "legacy_id": "L-1",
    "legacy_system": "old-billing",
    "legal_basis": "request of the person",
    "manager_id": "M-01",
    "media_type": "application/pdf",
    "method": "cash",
    "monthly_price_fen": 10_000,
    "name": "example name",
    "notice_id": "N-1",
    "number": "example number",
    "number_id": "NR-1",
    "numbers": ["NR-1"],
    "offer_id": "FTTH-1080",
    "other_operator": "another operator",
    "outcome": "upheld",
    "owner_id": "S-01",
    "package_id": "PK-1",
    "parameters": {"days": 30},
    "party_id": "P-1",
    "payment_id": "PM-1",
    "penalty_id": "PN-1",
    "plan_id": "IP-1",
    "price_fen": 108_000,
    "purpose": "complaint",
    "reason": "asked by the customer",
    "registration_id": "R-1",
    "registration_ids": ["R-1"],
    "remedy_if_missed": "one month free",
    "rule_id": "expiry-choice",
    "rule_version": "2014-1",
    "scope": "marketing",
    "sha256": "0" * 64,
    "solution": "the charge is taken back",
    "staff_id": "S-01",
    "subject_id": "M-01",
    "summary": "what the customer said",
    "title": "a photograph of the contract",
    "to_offer_id": "FTTH-100M",
    "to_party_id": "P-2",
    "unit": "complaints",
    "version": "2014-1",
}
OVERRIDES: dict[str, dict[str, Any]] = {
    "ChangePartyDetails": {"address": "another example address"},
    "ConfirmIdentityMisuse": {"registration_ids": ["R-1"], "numbers": ["NR-1"], "dealer_id": "D-1"},
    "OpenInvestigation": {"party_id": "P-1"},
    "ReverseCharge": {"charge_id": "CH-1"},
    "AllocatePayment": {"charge_id": "CH-1"},
    "SubscribePackage": {"end": "2015-12-09"},
    "SelectExpiryOption": {"consent_ref": "form/2014-0001"},
    "SuspendService": {"mode": "two_way"},
}
"""Fields of a command's example that its types do not demand, but its meaning does."""


def example_of(command: type[Command]) -> dict[str, Any]:
    """Return an example of a command's data: what is required, and what makes it make sense."""
    fields: dict[str, Any] = command.__pydantic_fields__  # type: ignore[attr-defined]
    made = {f.alias or n: _value(f.alias or n, f.annotation) for n, f in fields.items() if f.is_required()}
    return made | OVERRIDES.get(command.__name__, {})


def envelope_of(command: type[Command]) -> dict[str, Any]:
    """Return an example of a whole request."""
    region = {"region": "heilongjiang.harbin"} if command.OPENS else {}
    return {"actor": "staff/S-01", "channel": "store", **region, "data": example_of(command)}


def _value(name: str, annotation: Any) -> Any:
    """Return an example of a field: an enumeration's first value, the name's own example, or the type's."""
    options = get_args(annotation)
    if get_origin(annotation) is Literal:
        return options[0]
    if get_origin(annotation) in (Union, types.UnionType):
        return _value(name, options[0])
    if get_origin(annotation) is tuple and get_origin(options[0]) is Literal:
        return list(get_args(options[0]))
    if name in _VALUES:
        return _VALUES[name]
    by_type: dict[Any, Any] = {
        str: "example", int: 1, bool: True, date: DAY, datetime: MOMENT, Personal: "example", dict: {}
    }  # fmt: skip
    return by_type.get(get_origin(annotation) or annotation, [])
