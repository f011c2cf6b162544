"""Replay: what was true on a day as it was known on a day, step by step, and two such moments side by side."""
# ruff: noqa: RUF001 - Chinese is written with Chinese punctuation

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from markupsafe import Markup
from starlette.responses import Response

from api.console.asking import Day, Named, Position
from api.console.drawing import BANDS_MAX, NARROW_IN, WIDE_IN, Words, replay_picture
from api.console.parties import Shown, told
from api.console.replaying import Curve, Stepped, curve_of, stepped
from api.console.shell import HOME, Asked, Page, PageRoute
from api.inquiry_compare import Lawful, Second, compared
from api.wording import Change, changes, name_of, sentence
from domain.calendar import day_of
from domain.events.envelope import kind_of
from domain.events.fields import parse_instant

router = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)

STEPS_AROUND = 6  # steps listed before and after the one that is looked at
ONLY_SHOWN = 60  # events listed of each side of a comparison
ID_MAX_CHARS = 300

Kind = Annotated[Literal["party", "account"], Path()]


@router.get("/{kind}/{id}/replay")
def replay(
    *,
    page: Asked,
    kind: Kind,
    identifier: Named,
    at: Day = "",
    known_at: Day = "",
    position: Position = None,
    step: Annotated[int | None, Query(ge=0)] = None,
    event: Annotated[str | None, Query(max_length=ID_MAX_CHARS)] = None,
) -> Response:
    """Return a replay at one of its steps."""
    subject = f"{kind}/{identifier}"
    found, histories = stepped(
        page.runtime,
        subject,
        at=at or None,
        known_at=known_at or None,
        position=position,
        region=page.ledger_region,
        step=step,
        event_id=event,
    )
    page.region = found.question.region
    curve = curve_of(found.question, histories)
    return page.render(
        "replay.html",
        section="replay",
        subject=subject,
        found=found,
        whole=step is None and event is None,
        asked={"at": at, "known_at": known_at, "position": position},
        pictures=_pictures(page, subject, found, curve) if found.events else [],
        bands=_bands(page, curve),
        event=told(page, found.event) if found.event else None,
        changes=_changes(page, found.changed),
        around=_changes(page, found.around),
        steps=_steps(page, found),
        unknown=_later_known(page, found, histories),
    )


def _pictures(page: Page, subject: str, found: Stepped, curve: Curve) -> list[Markup]:
    """Return the picture for a screen, and for a phone."""
    on = day_of(found.moment, found.question.region)
    words = Words(
        title=page.t("余额与状态：", "Balance and status: ") + page.subject(subject),
        bands=_bands(page, curve),
        step=f"{on:%Y-%m-%d}",
    )
    # every word in it was escaped
    return [Markup(replay_picture(curve, on, words, width)) for width in (WIDE_IN, NARROW_IN)]  # noqa: S704


def _bands(page: Page, curve: Curve) -> dict[str, str]:
    """Return the bands that are drawn, with their names: the blacklist first, then accounts on which money moved."""
    names = {}
    for stream in curve.bands:
        if kind_of(stream) == "party":
            names[stream] = page.t("黑名单", "blacklist")
    accounts = [s for s in curve.bands if kind_of(s) == "account"]
    accounts.sort(key=lambda s: s not in curve.moved)  # those first on which money moved
    names.update({s: s.partition("/")[2] for s in accounts[: BANDS_MAX - len(names)]})
    return names


def _changes(page: Page, changed: Mapping[str, Any]) -> list[Change]:
    return changes(changed, page.lang, page.region)


def _steps(page: Page, found: Stepped) -> list[tuple[int, Shown]]:
    """Return the steps around the one that is looked at, with their numbers."""
    first = max(1, found.step - STEPS_AROUND)
    last = min(len(found.events), found.step + STEPS_AROUND)
    return [(n, told(page, found.events[n - 1])) for n in range(first, last + 1)]


def _later_known(page: Page, found: Stepped, histories: Mapping[str, Sequence[Any]]) -> int:
    """Return how many events had happened by then, but were not known yet."""
    return sum(
        1
        for history in histories.values()
        for r in history
        if r.position <= found.question.position
        and r.event.time <= found.question.at
        and found.question.known_at < r.event.recordedtime <= page.now
    )


# -- two moments --------------------------------------------------------------------------------------------


@router.get("/{kind}/{id}/compare")
def compare(
    *,
    page: Asked,
    kind: Kind,
    identifier: Named,
    at: Day = "",
    known_at: Day = "",
    with_at: Day = "",
    with_known_at: Day = "",
    lawful: bool = False,
    position: Position = None,
) -> Response:
    """Return how two moments differ, or what happened and what should have; the form where nothing is compared yet."""
    subject = f"{kind}/{identifier}"
    region = page.ledger_region
    page.region = page.runtime.deployment.locate(subject, region).region
    asked = {
        "at": at,
        "known_at": known_at,
        "with_at": with_at,
        "with_known_at": with_known_at,
        "lawful": lawful,
    }
    found = None
    if lawful:
        other: Second | Lawful = Lawful(at or None, {})
        found = compared(
            page.runtime, subject, other, known_at=known_at or None, position=position, region=region
        )
    elif with_at or with_known_at:
        other = Second(with_at or at or "now", with_known_at or known_at or "now", None)
        found = compared(
            page.runtime,
            subject,
            other,
            at=at or None,
            known_at=known_at or None,
            position=position,
            region=region,
        )
    return page.render(
        "compare.html",
        section="replay",
        subject=subject,
        asked=asked,
        found=found,
        changes=_changes(page, found["changed"]) if found else [],
        first=_first(page, found["first_divergence"]) if found and found["first_divergence"] else None,
        only={side: _only(page, found["events"][f"only_{side}"]) for side in ("left", "right")}
        if found
        else {},
        only_shown=ONLY_SHOWN,
    )


def _first(page: Page, first: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "when": page.moment(first["time"]),
        "events": [{"side": e["side"], **_entry(page, e)} for e in first["events"]],
        "changes": _changes(page, first["changed"]),
    }


def _only(page: Page, events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [_entry(page, e) for e in events[:ONLY_SHOWN]]


def _entry(page: Page, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event of one side as it is told; what should have happened stands in no log, and leads nowhere."""
    return {
        "when": page.short(event["time"]),
        "known": page.short(event["recordedtime"])
        if parse_instant(event["recordedtime"]).date() != parse_instant(event["time"]).date()
        else "",
        "name": name_of(event["type"], page.lang),
        "text": sentence(event["type"], event["data"], page.lang),
        "subject": event["subject"],
        "position": event["position"],
        "event_id": event["event_id"],
    }
