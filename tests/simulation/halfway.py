"""Seals and erasures killed half-way, at each stage: wholly there or not at all, and whole when asked again.

"Wrong" counts a party half erased, a seal that contradicts the log, and values of the person that are found after all.
"""

import contextlib
import io
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import orjson

from api.access.issuer import LocalIssuer
from api.cli import main
from api.rejects import REJECTS_FOLDER
from api.runtime import Runtime, opened
from api.settings import Settings
from domain.events.party import PersonalDataErased
from domain.ledger.application import Ledger
from domain.ledger.erasing import values_of
from domain.ledger.interchange import export_plain
from domain.ledger.seals import Seals
from projections.engine import verify
from tests import support
from tests.http_service import Client
from tests.simulation.killing import killed_at
from tests.simulation.service import Outcome, at_work, counted_in, going_on, service, wrongs
from tests.support import REGION, charge_line, event_line, opening_line, payment_line
from tests.test_crash import Clerks, with_accounts

SEAL_STAGES = (
    "before lock",
    "after digests_at",
    "after put_pages",
    "after add_heads",
    "before add",
    "after add",
    "committed add",
)
"""Between them the map is changed, page by page, the heads are kept, and the seal is."""
ERASE_STAGES = (
    "before api.rejects:_replace",
    "after api.rejects:_replace",
    "before lock_counter",
    "before write",
    "after write",
    "after destroy_keys",
    "committed destroy_keys",
    "before VACUUM (FULL) party_key",
    "after VACUUM (FULL) party_key",
    "after ALTER SYSTEM SET wal_recycle",
    "after switch",
)
"""Copies go first, then the event and the key at once, then what the server's files keep of the key."""
SERVICE_STAGES = ("before write", "after write", "after destroy_keys", "committed destroy_keys")
SEAL_MOMENT_MAX_S = 0.06
ERASE_MOMENT_MAX_S = 0.5
STREAMS = 300


# -- seals ----------------------------------------------------------------------------------------------------


def seal_killed(folder: Path, chance: random.Random) -> Outcome:
    """SIGKILL of `recount seal` at each stage and at random moments; sealed again, and held against the log."""
    data = folder / "data"
    moments = [f"within {chance.random() * SEAL_MOMENT_MAX_S:.3f}" for _ in range(3)]
    with opened(Settings.read(data, {})) as runtime:
        found = Outcome(1)
        for number, stage in enumerate((*SEAL_STAGES, *moments)):
            lines = [opening_line(f"S{number}-{n}") for n in range(STREAMS)]
            lines += [payment_line("S0-0", f"PAY{number}")] if number else []
            support.bring(runtime.deployment, *lines)
            found += sealed_once_killed(runtime, data, stage)
        found.wrong += len(wrongs(runtime))
        found.times = 1
        return found


def sealed_once_killed(runtime: Runtime, data: Path, stage: str) -> Outcome:
    """Kill one sealing at a stage, then seal; acknowledged is the seal."""
    ledger = _ledger(runtime)
    seals = Seals(ledger)
    before = last.number if (last := seals.last()) else 0
    hit = killed_at(stage, "seal", data=data)
    assert hit or stage.startswith("within"), f"it never came to {stage}"
    there = last.number if (last := seals.last()) else 0
    wrong = there not in (before, before + 1)
    wrong += stage.startswith(("before", "after")) and there != before
    wrong += _unsealed(runtime)
    seal, made = runtime.sealer(ledger).seal()
    assert seal is not None
    wrong += seal.number != before + 1 or made != (there == before)
    wrong += seal.position != ledger.journal.last_position()
    wrong += _unsealed(runtime)
    return Outcome(1, 1, lost=int(seals.last() != seal), wrong=int(wrong))


def _unsealed(runtime: Runtime) -> int:
    """Return how much differs between the whole log and its seals."""
    ledger = _ledger(runtime)
    key = runtime.seal_key()
    verdict = verify(ledger, (), runtime.clock(), sample=None, keys=lambda name: [key.named(name)])
    return len(verdict.differences)


def service_killed_sealing(folder: Path, chance: random.Random) -> Outcome:
    """SIGKILL of a service that seals without pause, under load and at stages of a seal; it is started again."""
    data, clerks = folder / "data", Clerks()
    with service(data) as running:
        with_accounts(running.issuer)
    with service(data, seal_every_s=0.02) as running, at_work(clerks, running.issuer, chance):
        going_on(clerks, 100)
        running.process.send_signal(signal.SIGKILL)
        running.process.wait(60)
    for stage in (f"after {chance.choice(['put_pages', 'add_heads', 'add'])}", "committed add"):
        clerks.stop.clear()
        with service(data, stage=stage, seal_every_s=2) as running, clerks.at_work(running.issuer):
            running.process.wait(60)
    with service(data) as running:
        clerks.retry(running.issuer)
    with opened(Settings.read(data, {})) as runtime:
        found = counted_in(runtime, clerks.acknowledged)
        found.wrong += _unsealed(runtime) + (Seals(_ledger(runtime)).last() is None)
        runtime.sealer(_ledger(runtime)).seal()
        found.wrong += _unsealed(runtime)
        return found


# -- erasures -------------------------------------------------------------------------------------------------


def person(name: str) -> list[bytes]:
    """Return the lines of somebody who left long ago with everything settled, and stands wherever one can."""
    who = values(name)
    papers = {"kind": "individual", "id_type": "resident_id", **who}
    account, at = f"account/A-{name}", "2009-03-01T10:00:00+08:00"
    return [
        event_line(f"{name}-1", "PartyRegistered", f"party/{name}", papers, at),
        opening_line(f"A-{name}", at=at, party_id=name),
        event_line(f"{name}-2", "ServiceMoved", account, {"address": who["address"]}, "2009-03-02T10:00:00+08:00"),
        charge_line(f"A-{name}", amount_fen=500, due="2009-04-15", at="2009-04-01T10:00:00+08:00"),
        payment_line(f"A-{name}", amount_fen=500, value_date="2009-04-10", at="2009-04-10T10:00:00+08:00"),
        event_line(f"{name}-3", "ServiceTerminated", account, {"reason": "customer_request"}, "2009-06-01T10:00:00Z"),
    ]  # fmt: skip


def values(name: str) -> dict[str, str]:
    """Return a person's values, which stand nowhere else."""
    return {
        "id_hash": f"sha256:{name}-einmalig",
        "name": f"欧阳-{name}-查无此人",
        "id_number": f"2301-{name}-9999",
        "address": f"Nirgendwo-Gasse {name}, Harbin",
    }


def refused(data: Path, name: str) -> None:
    """Put refused lines into a reject file: two that speak of the person, one by a value alone, and another's."""
    who = values(name)
    texts = [f'{{"subject": "party/{name}", "torn', f"torn {who['address']}", f"somebody else beside {name}"]
    folder = data / REJECTS_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    lines = [orjson.dumps({"text": text}) for text in texts]
    (folder / f"{name}.jsonl").write_bytes(b"\n".join(lines) + b"\n")


def erase_killed(folder: Path, chance: random.Random) -> Outcome:
    """SIGKILL of `recount erase` at each stage and at random moments; asked again, nothing of the person is found."""
    data = folder / "data"
    moments = [f"within {chance.random() * ERASE_MOMENT_MAX_S:.3f}" for _ in range(3)]
    with opened(Settings.read(data, {})) as runtime:
        found = Outcome(1)
        erased = [f"E{number}" for number in range(len(ERASE_STAGES) + len(moments))]
        support.bring(runtime.deployment, *(line for name in (*erased, "STAYS") for line in person(name)))
        support.assert_sound(runtime.deployment)
        for name, stage in zip(erased, (*ERASE_STAGES, *moments), strict=True):
            found += erased_once_killed(runtime, data, name, stage)
        found.wrong += still_found(runtime, data, erased) + len(wrongs(runtime))
        found.wrong += values("STAYS")["name"].encode() not in b"".join(export_plain(_ledger(runtime), []))
        found.times = 1
        return found


def erased_once_killed(runtime: Runtime, data: Path, name: str, stage: str) -> Outcome:
    """Kill one erasure at a stage, then ask for it; acknowledged is the erasure."""
    refused(data, name)
    asked = ["erase", f"party/{name}", "--legal-basis", "PIPL art. 47"]
    hit = killed_at(stage, *asked, data=data)
    assert hit or stage.startswith("within"), f"it never came to {stage}"
    wrong = half_erased(runtime, name)
    said = data.parent / "receipt.json"
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*asked, "--receipt", str(said), "--data", str(data)]) == 0
    receipt = orjson.loads(said.read_bytes())
    wrong += half_erased(runtime, name) + (len(receipt["keys_destroyed"]) != 1)
    return Outcome(1, 1, lost=erasures(runtime, name) == 0, doubled=erasures(runtime, name) > 1, wrong=wrong)


def erasures(runtime: Runtime, name: str) -> int:
    """Return how often the log says that a person was erased."""
    return sum(
        isinstance(r.event.data, PersonalDataErased) for r in _ledger(runtime).history(f"party/{name}")
    )


def half_erased(runtime: Runtime, name: str) -> int:
    """Return 1 where the log says that somebody is erased and their data opens, or the other way round."""
    opens = values(name)["name"] in values_of(_ledger(runtime), f"party/{name}")[1]
    keys = support.select(
        runtime.deployment, "SELECT wrapped IS NOT NULL FROM party_key WHERE owner = %s", f"party/{name}"
    )
    return int(keys != [(opens,)] or opens == bool(erasures(runtime, name)))


def still_found(runtime: Runtime, data: Path, names: Sequence[str]) -> int:
    """Return how many values of persons are found in a table, a file or what is exported."""
    from tests.test_erasure import in_files, in_tables

    sought = [value for name in names for value in values(name).values()]
    exported = b"".join(export_plain(_ledger(runtime), []))
    found = in_tables(runtime, sought) | in_files(data, sought)
    return len(found | {value for value in sought if value.encode() in exported})


def service_killed_erasing(folder: Path, chance: random.Random) -> Outcome:
    """SIGKILL of a service at each stage of an erasure it was asked for; asked again under the same key, it is done."""
    data = folder / "data"
    names = [f"E{number}" for number in range(len(SERVICE_STAGES))]
    with opened(Settings.read(data, {})) as runtime:
        support.bring(runtime.deployment, *(line for name in names for line in person(name)))
        found = Outcome(1)
        chance.shuffle(names)
        for name, stage in zip(names, SERVICE_STAGES, strict=True):
            with service(data, stage=stage) as running, _client(running.issuer) as client:
                with suppress(httpx.TransportError):
                    _ask(client, name)
                running.process.wait(60)
            found.wrong += half_erased(runtime, name)
        with service(data) as running, _client(running.issuer) as client:
            for name in names:
                first, again = _ask(client, name), _ask(client, name)
                assert first.status_code == again.status_code == 201, first.text
                found.acknowledged += 1
                found.lost += erasures(runtime, name) == 0
                found.doubled += erasures(runtime, name) > 1
                found.wrong += half_erased(runtime, name) + (first.json() != again.json())
        found.wrong += still_found(runtime, data, names) + len(wrongs(runtime))
        return found


@contextlib.contextmanager
def _client(issuer: LocalIssuer) -> Iterator[Client]:
    client = Client(issuer.url, issuer)
    with client.http:
        yield client


def _ask(client: Client, name: str) -> httpx.Response:
    return client.ask(
        f"parties/{name}/erasures", {"legal_basis": "PIPL art. 47"}, key=f"erase-{name}", region=REGION
    )


def _ledger(runtime: Runtime) -> Ledger:
    ledger = runtime.deployment.ledger(support.LEDGER)
    assert ledger is not None
    return ledger
