"""Observed history in: file by file, batch by batch, each event to the ledger of its province."""

import base64
import binascii
import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO

from domain.events.envelope import check_subject, ledger_of, text_attribute
from domain.events.fields import IDENTIFIER_MAX_CHARS, MalformedError
from domain.ledger.application import PostgresKeys, Q
from domain.ledger.database import WRITER
from domain.ledger.deployment import Deployment, SubjectError
from domain.ledger.interchange.landing import NEVER_OPENED, land_all
from domain.ledger.interchange.lines import (
    DEPLOYMENT_TYPE,
    KEY_TYPE,
    Arrival,
    Refusal,
    lines_of,
    read_object,
)
from domain.ledger.interchange.reading import Reader
from domain.ledger.vault import VaultError

BATCH_LINES = 4_000  # some 40 ms of writing: the position counter is never held for much longer than that
BATCH_MAX_BYTES = 4_194_304


@dataclass(slots=True)
class Tally:
    """What became of a file's lines; their sum is the number of lines."""

    appended: int = 0
    repeated: int = 0
    refused: int = 0
    keys: int = 0
    ledgers: Counter[str] = field(default_factory=Counter)

    @property
    def lines(self) -> int:
        """How many lines were read."""
        return self.appended + self.repeated + self.refused + self.keys


class Importer:
    """Brings observed history into a deployment. `refuse` is called for every line that does not land."""

    def __init__(
        self,
        deployment: Deployment,
        refuse: Callable[[Refusal], None],
        clock: Callable[[], datetime],
        progress: Callable[[Tally], None] | None = None,
    ) -> None:
        self.tally = Tally()
        self._deployment = deployment
        self._refuse = refuse
        self._clock = clock
        self._progress = progress
        self._batch: list[Arrival] = []
        self._batch_bytes = 0
        self._reader = Reader(deployment.secrets)
        self._new = True  # whether what comes is expected to be new: it is then looked up only if it is not
        self._own_seal = False  # whether a sealed export told, and proved, that it is of this deployment

    def run(self, source: BinaryIO) -> Tally:
        """Import a whole file; may be stopped anywhere and run again."""
        for number, line in lines_of(source):
            self._take(number, line)
            if len(self._batch) >= BATCH_LINES or self._batch_bytes >= BATCH_MAX_BYTES:
                self._flush()
        self._flush()
        return self.tally

    def _take(self, number: int, line: bytes | None) -> None:
        try:
            arrival = self._reader.read(number, line) if line is not None else None
            if arrival is None:
                raw = read_object(line)
                if raw.get("type") in (KEY_TYPE, DEPLOYMENT_TYPE):
                    self._flush()
                    self._take_key(raw)
                    self.tally.keys += 1
                    return
                arrival = self._reader.checked(number, line, raw)
        except (MalformedError, SubjectError, VaultError) as error:
            problem = error.problem if isinstance(error, MalformedError) else None
            self._reject(
                number,
                line or b"",
                problem.field if problem else "(line)",
                problem.reason if problem else str(error),
            )
            return
        self._batch.append(arrival)
        self._batch_bytes += len(arrival.text)

    def _take_key(self, raw: dict[str, Any]) -> None:
        """Take a sealed export's line that is no event: whose export it is, or a party's key."""
        data = raw.get("data")
        if not isinstance(data, dict):
            raise MalformedError("data", "should be an object")
        try:
            wrapped = base64.b64decode(data["wrapped"], validate=True) if data.get("wrapped") else None
        except (TypeError, binascii.Error, ValueError):
            raise MalformedError("data.wrapped", "should be a wrapped key in base64") from None
        if raw["type"] == DEPLOYMENT_TYPE:
            self._own_seal = False
            if wrapped is None:
                raise MalformedError("data.wrapped", "is missing")
            if not self._deployment.adopt(wrapped):
                raise MalformedError(
                    "data.wrapped",
                    "is another deployment's: import a plain export, or into an empty database",
                )
            self._own_seal = True
            self._reader = Reader(self._deployment.secrets)
            return
        self._keep_key(raw, data.get("proof"), wrapped)

    def _keep_key(self, raw: dict[str, Any], proof: object, wrapped: bytes | None) -> None:
        key_id, region = text_attribute(raw, "id", IDENTIFIER_MAX_CHARS), text_attribute(raw, "region")
        owner = check_subject(text_attribute(raw, "subject"))
        expected = self._deployment.secrets.key_line(
            key_id, owner, base64.b64encode(wrapped or b"").decode("ascii")
        )
        if not self._own_seal or not isinstance(proof, str) or not hmac.compare_digest(proof, expected):
            raise MalformedError("data.proof", "does not show that the key is this deployment's")
        ledger = self._deployment.ledger_for(region)
        given: dict[str, Any] = {"key_ids": [key_id], "owners": [owner]}
        with ledger.journal.database.transaction(ledger.schema, WRITER) as connection:
            PostgresKeys(connection).make_alone(self._deployment.master.ids)
            if wrapped is None:
                connection.execute(Q["add_destroyed_keys"], given)
            else:
                self._deployment.master.unwrap(wrapped)
                connection.execute(Q["add_keys"], {**given, "wrapped": [wrapped]})

    def _reject(self, number: int, line: bytes, where: str, reason: str) -> None:
        self.tally.refused += 1
        self._refuse(Refusal(number, where, reason, line))

    def _flush(self) -> None:
        batch, self._batch, self._batch_bytes = self._batch, [], 0
        by_ledger: dict[str, list[Arrival]] = {}
        for arrival in batch:
            if arrival.seal is not None and not self._own_seal:
                self._reject(arrival.line, arrival.text, "digest", "was not sealed by this deployment")
            else:
                by_ledger.setdefault(ledger_of(arrival.region), []).append(arrival)
        for name, arrivals in by_ledger.items():
            self._land(name, arrivals)
        if batch and self._progress is not None:
            self._progress(self.tally)

    def _land(self, name: str, arrivals: list[Arrival]) -> None:
        """Land one ledger's part of a batch; a ledger is made only where something opens in it."""
        known = self._deployment.ledger(name) is not None
        if not known and not any(a.kind.OPENS for a in arrivals):
            for arrival in arrivals:
                self._reject(arrival.line, arrival.text, "subject", NEVER_OPENED)
            return
        try:
            ledger = self._deployment.ledger_for(arrivals[0].region)
        except SubjectError as error:
            for arrival in arrivals:
                self._reject(arrival.line, arrival.text, "region", str(error))
            return
        outcome = land_all(ledger, arrivals, self._clock(), new=self._new)
        self._new = not outcome.repeated and not outcome.refusals
        self.tally.appended += outcome.appended
        self.tally.ledgers[ledger.region] += outcome.appended
        self.tally.repeated += outcome.repeated
        for refusal in outcome.refusals:
            self._reject(refusal.line, refusal.text, refusal.field, refusal.reason)
