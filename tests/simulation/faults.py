"""Real faults of the real service, tried as often as asked, and a table of what they came to."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import orjson
import psycopg

from api.access.issuer import LocalIssuer
from api.runtime import READ_MODELS, Runtime, opened, present
from api.settings import Settings
from domain.ledger.application import Ledger
from domain.ledger.embedded import EmbeddedPostgres
from domain.ledger.embedded.files import News, read_news
from projections.engine import catch_up
from tests import support
from tests.http_service import serving
from tests.scenario import REGION
from tests.simulation.cutting import between
from tests.simulation.halfway import (
    ERASE_STAGES,
    SEAL_STAGES,
    SERVICE_STAGES,
    erase_killed,
    seal_killed,
    service_killed_erasing,
    service_killed_sealing,
)
from tests.simulation.service import (
    Outcome,
    asked_again,
    at_work,
    counted,
    counted_in,
    going_on,
    service,
    wrongs,
)
from tests.support import charge_line, opening_line, payment_line, wait_for
from tests.test_closing import population
from tests.test_crash import Clerks, command, with_accounts

Fault = Callable[[Path, random.Random], Outcome]
DISK_MB = 160
"""A new data directory takes some 45 MB, and PostgreSQL's log of changes at least 32 more."""
SESSIONS = (
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
)
MASTER_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


# -- killed ---------------------------------------------------------------------------------------------------


def service_killed(folder: Path, chance: random.Random) -> Outcome:
    """SIGKILL of the service at a random moment under load; it is started again."""
    data, clerks = folder / "data", Clerks()
    with service(data) as running:
        with_accounts(running.issuer)
        with at_work(clerks, running.issuer, chance):
            time.sleep(chance.random() / 10)
            running.process.send_signal(signal.SIGKILL)
            running.process.wait()
    asked_again(clerks, data)
    return counted(data, clerks)


def postmaster_killed(folder: Path, chance: random.Random) -> Outcome:
    """SIGKILL of PostgreSQL's postmaster under load; the service brings it back by itself."""

    def kill(data: Path) -> None:
        os.kill(_news(data).postmaster, signal.SIGKILL)

    return _under_load(folder, chance, kill)


def backend_killed(folder: Path, chance: random.Random) -> Outcome:
    """SIGKILL of one of PostgreSQL's sessions under load: the server ends all of them and recovers."""

    def kill(data: Path) -> None:
        with psycopg.connect(_news(data).conninfo, autocommit=True) as connection:
            pids = [pid for (pid,) in connection.execute(SESSIONS)]
        server = _real_pids(_news(data).postmaster)
        victims = [server[pid] for pid in pids if pid in server]
        os.kill(chance.choice(victims), signal.SIGKILL)

    return _under_load(folder, chance, kill)


def sessions_ended(folder: Path, chance: random.Random) -> Outcome:
    """Every session is ended by the administrator, again and again, whatever it is in the middle of."""

    def end(data: Path) -> None:
        with psycopg.connect(_news(data).conninfo, autocommit=True) as connection:
            for _ in range(20):
                connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({SESSIONS}) AS session")
                time.sleep(chance.random() / 10)

    return _under_load(folder, chance, end)


def _under_load(folder: Path, chance: random.Random, harm: Callable[[Path], None]) -> Outcome:
    """Harm the database while clients work; the service lives on, and they go on with it."""
    data, clerks = folder / "data", Clerks()
    with service(data) as running:
        with_accounts(running.issuer)
        with at_work(clerks, running.issuer, chance):
            time.sleep(chance.random() / 10)
            harm(data)
            going_on(clerks)
        assert running.process.poll() is None, "the service did not outlive it"
        clerks.retry(running.issuer)
    return counted(data, clerks)


def _news(data: Path) -> News:
    news = read_news(data)
    assert news is not None
    return news


def _real_pids(postmaster: int) -> dict[int, int]:
    """Return the server's own process ids and what they are called here: it may live in a namespace of its own."""
    found = {}
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
            if int(fields["PPid"]) == postmaster:
                found[int(fields.get("NSpid", fields["Pid"]).split()[-1])] = int(fields["Pid"])
    return found


def connection_cut(folder: Path, chance: random.Random) -> Outcome:
    """Every connection is cut in the middle of what is said, a commit's answer too, for a while under load."""
    data, clerks = folder / "pg", Clerks()
    with EmbeddedPostgres(data) as server, tempfile.TemporaryDirectory(prefix="cut-") as near:
        behind = psycopg.conninfo.conninfo_to_dict(server.conninfo)
        with between(Path(near), str(behind["host"]), chance) as cutter:
            url = psycopg.conninfo.make_conninfo(server.conninfo, host=near)
            environment = {"DATABASE_URL": url, "RECOUNT_MASTER_KEY": MASTER_KEY}
            with service(folder / "data", **environment) as running:
                with_accounts(running.issuer)
                with at_work(clerks, running.issuer, chance):
                    cutter.cutting = True
                    wait_for(lambda: cutter.cuts >= 25, seconds=60)
                    cutter.cutting = False
                    going_on(clerks)
                clerks.retry(running.issuer)
        return counted(folder / "data", clerks, DATABASE_URL=server.conninfo, RECOUNT_MASTER_KEY=MASTER_KEY)


# -- disk, clock, two at once ---------------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Lend a file system of its own that is soon full; raises OSError where that is not allowed."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0755", "recount-test", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        raise OSError(f"no small file system could be mounted (that takes root): {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def disk_full(folder: Path, chance: random.Random) -> Outcome:
    """The disk is full under load: clients are told to come back, and once there is space again, it goes on."""
    clerks = Clerks()
    with small_disk(folder / "disk") as disk, ExitStack() as stack:
        data = disk / "data"
        running = stack.enter_context(service(data))
        with_accounts(running.issuer)
        with at_work(clerks, running.issuer, chance):
            ballast = disk / "ballast"
            _fill(ballast)
            _until_refused(clerks)
            ballast.unlink()
            going_on(clerks)
        assert running.process.poll() is None, "the service did not outlive it"
        clerks.retry(running.issuer)
        stack.close()
        return counted(data, clerks)


def _fill(ballast: Path) -> None:
    """Take all the space there is."""
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65_536))


def _until_refused(clerks: Clerks) -> None:
    """Wait until nothing is acknowledged any more: PostgreSQL may have written into what it had before."""
    deadline = time.monotonic() + 60
    quiet = 0.0
    while quiet < 1.0:
        before = len(clerks.acknowledged)
        time.sleep(0.25)
        quiet = quiet + 0.25 if len(clerks.acknowledged) == before else 0.0
        assert time.monotonic() < deadline, "the disk was never full"


def clock_set_back(folder: Path, chance: random.Random) -> Outcome:
    """The service's clock is set back by hours under load: recorded time stands still rather than run back."""
    clerks, back = Clerks(), [timedelta()]
    with opened(Settings.read(folder / "data", {}), clock=lambda: present() - back[0]) as runtime:
        with serving(runtime) as client:
            with_accounts(client.issuer)
            with at_work(clerks, client.issuer, chance):
                back[0] = timedelta(hours=chance.randint(1, 30))
                going_on(clerks)
                back[0] = timedelta(0)
                going_on(clerks)
            clerks.retry(client.issuer)
        found = counted_in(runtime, clerks.acknowledged)
        ledger = runtime.deployment.ledger(support.LEDGER)
        assert ledger is not None
        times = [ledger.read(e).event.recordedtime for e in ledger.journal.log(0, limit=1_000_000)]
        found.wrong += sum(later < earlier for earlier, later in itertools.pairwise(times))
        return found


class Others(Clerks):
    """Clients with keys of their own, on the same accounts."""

    def work(self, issuer: LocalIssuer, name: str) -> None:
        """Work as the others do."""
        super().work(issuer, f"other-{name}")


def two_services(folder: Path, chance: random.Random) -> Outcome:
    """Two services on one ledger, clients on both, and one of the services is killed."""
    data, clerks, others = folder / "data", Clerks(), Others()
    with service(data) as one, service(data) as other:
        with_accounts(one.issuer)
        with at_work(clerks, one.issuer, chance):
            with at_work(others, other.issuer, chance):
                other.process.send_signal(signal.SIGKILL)
                other.process.wait()
            going_on(clerks)
        clerks.retry(one.issuer)
        others.retry(one.issuer)
    clerks.acknowledged |= others.acknowledged
    return counted(data, clerks)


# -- restarts in the midst of work ---------------------------------------------------------------------------


def migration_killed(folder: Path, chance: random.Random) -> Outcome:
    """The first start is killed somewhere between making the database and serving; the next one serves."""
    data = folder / "data"
    arguments, environment = command("serve", "--dev", "--port", "0", data=data)
    for _ in range(2):
        starting = subprocess.Popen(arguments, env=environment, stderr=subprocess.DEVNULL)
        time.sleep(0.3 + chance.random() * 2)
        starting.kill()
        starting.wait()
    clerks = Clerks()
    with service(data) as running:
        with_accounts(running.issuer)
        with at_work(clerks, running.issuer, chance):
            pass
        clerks.retry(running.issuer)
    return counted(data, clerks)


def _history(accounts: int) -> list[bytes]:
    return [
        line
        for n in range(accounts)
        for line in (opening_line(f"L{n}"), charge_line(f"L{n}"), payment_line(f"L{n}"))
    ]


def _killed_and_again(folder: Path, moment: Callable[[], Callable[[], bool]], *arguments: str) -> None:
    """Run a command that is killed in the midst of its work, three times, and then to its end."""
    line, environment = command(*arguments, data=folder / "data")
    hit = 0
    for _ in range(3):
        running = subprocess.Popen(
            line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        come = moment()
        wait_for(lambda: come() or running.poll() is not None, seconds=120)  # noqa: B023 - asked in this turn
        hit += running.poll() is None
        running.kill()
        running.wait()
    assert hit, "it was never killed before it had ended"
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-500:]


def _grown(ledger: Ledger, chance: random.Random, most: int) -> Callable[[], Callable[[], bool]]:
    """Return moments at which the log has grown by some events."""

    def moment() -> Callable[[], bool]:
        enough = ledger.journal.last_position() + chance.randint(1, most)
        return lambda: ledger.journal.last_position() >= enough

    return moment


def import_killed(folder: Path, chance: random.Random) -> Outcome:
    """An import killed at random moments and run again has each line once."""
    folder.mkdir(exist_ok=True)
    source, lines = folder / "history.jsonl", _history(4_000)
    source.write_bytes(b"\n".join(lines))
    with opened(Settings.read(folder / "data", {})) as runtime:
        ledger = runtime.deployment.ledger_for(REGION)
        _killed_and_again(folder, _grown(ledger, chance, 7_000), "import", str(source))
        return _against(runtime, lines)


def _against(runtime: Runtime, lines: list[bytes]) -> Outcome:
    """Return what of an import that was told to have landed stands, and how often."""
    told = {orjson.loads(line)["id"] for line in lines}
    ledger = runtime.deployment.ledger(support.LEDGER)
    assert ledger is not None
    stands = [
        body["id"]
        for e in ledger.journal.log(0, limit=1_000_000)
        if (body := orjson.loads(e.state))["source"] == "urn:recount:test"
    ]
    lost, doubled = len(told - set(stands)), len(stands) - len(set(stands))
    return Outcome(1, len(told), lost, doubled, len(wrongs(runtime)))


def rebuild_killed(folder: Path, chance: random.Random) -> Outcome:
    """Rebuilds killed at random moments: what is read stays right, and the last one ends."""
    lines = _history(1_000)
    with opened(Settings.read(folder / "data", {})) as runtime:
        support.bring(runtime.deployment, *lines)
        catch_up(runtime.deployment, READ_MODELS, runtime.clock)

        def moment() -> Callable[[], bool]:
            until = time.monotonic() + 0.8 + chance.random() * 2
            return lambda: time.monotonic() >= until

        _killed_and_again(folder, moment, "rebuild")
        return _against(runtime, lines)


def closing_killed(folder: Path, chance: random.Random) -> Outcome:
    """A close of day killed at random moments and run again does everything once."""
    today = present().date()
    lines = list(population(500, today - timedelta(days=40)))
    with opened(Settings.read(folder / "data", {})) as runtime:
        support.bring(runtime.deployment, *lines)
        ledger = runtime.deployment.ledger_for(REGION)
        _killed_and_again(folder, _grown(ledger, chance, 150), "close-day", today.isoformat())
        found = _against(runtime, lines)
        charged: dict[str, int] = {}
        for event in ledger.journal.log(0, limit=1_000_000, types=["ChargePosted"]):
            subject = str(event.originator_id)
            charged[subject] = charged.get(subject, 0) + 1
        found.acknowledged += 500
        found.lost += 500 - len(charged)
        found.doubled += sum(n > 1 for n in charged.values())
        return found


# -- the table -----------------------------------------------------------------------------------------------

FAULTS: dict[str, Fault] = {
    "service killed under load": service_killed,
    "PostgreSQL's postmaster killed under load": postmaster_killed,
    "a PostgreSQL backend killed under load": backend_killed,
    "all sessions ended, 20 times under load": sessions_ended,
    "connections cut in mid-sentence, 25 under load": connection_cut,
    "disk full under load": disk_full,
    "clock set back and forth under load": clock_set_back,
    "two services, one of them killed": two_services,
    "first start and migration killed, twice": migration_killed,
    "import killed, 3 times": import_killed,
    "rebuild killed, 3 times": rebuild_killed,
    "close of day killed, 3 times": closing_killed,
    f"seal killed, at {len(SEAL_STAGES)} stages and 3 moments": seal_killed,
    "service killed as it seals, under load, 3 times": service_killed_sealing,
    f"erasure killed, at {len(ERASE_STAGES)} stages and 3 moments": erase_killed,
    f"service killed in an erasure, at {len(SERVICE_STAGES)} stages": service_killed_erasing,
}


def tried(fault: Fault, folder: Path, seed: int) -> Outcome:
    """Try a fault in a folder of its own, which is gone afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        return fault(folder, random.Random(seed))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def table(times: int, only: str = "") -> int:
    """Try every fault so often and write the table; 1 where anything was lost, doubled or wrong."""
    write = sys.stdout.write
    write(
        "| fault | times | acknowledged | lost | doubled | wrong | seconds |\n|---|---|---|---|---|---|---|\n"
    )
    sound = True
    with tempfile.TemporaryDirectory(prefix="recount-faults-") as folder:
        for name, fault in FAULTS.items():
            if only not in name:
                continue
            found, began = Outcome(), time.monotonic()
            try:
                for n in range(times):
                    found += tried(fault, Path(folder) / f"{fault.__name__}-{n}", n)
            except OSError as error:
                write(f"| {name} | not tried: {error} | | | | | |\n")
                continue
            sound = sound and found.sound
            took = time.monotonic() - began
            write(
                f"| {name} | {found.times} | {found.acknowledged:,} | {found.lost} | {found.doubled} | {found.wrong} |"
                f" {took:.0f} |\n"
            )
            sys.stdout.flush()
    return 0 if sound else 1
