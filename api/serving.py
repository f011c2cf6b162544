"""serve and demo: the service, and the service with the Harbin case in it."""

import argparse
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from types import FrameType
from urllib.parse import urlsplit

import uvicorn

from api.access import Access, issuing
from api.access.configuring import AccessError, configured, limits_of
from api.access.issuer import PEOPLE, IssuerError, LocalIssuer, kept_in
from api.app import build
from api.connections import KEEP_ALIVE_S, files_allowed, patient
from api.following import FollowerProcess
from api.importing import import_all
from api.logging import configure
from api.patience import STALL_S
from api.rejects import Rejects
from api.requests import HOSTS
from api.runtime import READ_MODELS, Runtime, collecting_rarely, opened
from api.sealing import Interval
from api.settings import DEFAULT_DATA, EdgeSettings, Settings
from api.terminal import CommandError, Terminal
from api.trust import roots_in
from domain.events.envelope import prepare
from projections.engine import catch_up

LOOPBACK = ("127.0.0.1", "::1", "localhost")
EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - known here so that it is told from one address
BACKLOG = 1_024
ANSWER_MAX_S = 30.0  # one statement of a reader: longer ones would take the connections from everybody else
SHUTDOWN_S = 5  # how long open requests may still take when the service is told to stop


def listen(host: str, port: int, *, guarded: bool) -> socket.socket:
    """Return a socket that listens; on loopback only, unless an issuer of tokens says who gets in.

    Raises CommandError.
    """
    if host not in LOOPBACK and not guarded:
        raise CommandError(
            f"--host {host}: without an issuer of tokens (RECOUNT_ISSUER, RECOUNT_JWKS) the service listens on"
            " loopback only (127.0.0.1)"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # What was sent and is never taken goes with its connection, buffers and all.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(2_000 * STALL_S))
    try:
        made.bind((host, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise CommandError(
            f"port {port} can't be listened on ({error.strerror}): name another with --port"
        ) from error
    return made


def address_of(listening: socket.socket) -> str:
    """Return the address a socket listens at."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


@dataclass(frozen=True, slots=True)
class Door:
    """Who gets in, and the local issuer where there is one."""

    access: Access
    issuer: LocalIssuer | None = None


def local_door(settings: Settings, listening: socket.socket) -> Door:
    """Return the door of a service that issues its own tokens; raises CommandError."""
    try:
        issuer = kept_in(settings.data_dir, address_of(listening))
    except IssuerError as error:
        raise CommandError(str(error)) from None
    return Door(issuer.access(limits_of(settings.edge)), issuer)


def hosts_of(edge: EdgeSettings, host: str = "127.0.0.1") -> frozenset[str]:
    """Return the names the service answers to: those of loopback, its own outside, and the address it is bound to."""
    outside = urlsplit(edge.outside).hostname if edge.outside else None
    names = {name for name in (outside, None if host in EVERY_ADDRESS else host) if name}
    return HOSTS | {f"[{name}]" if ":" in name else name.lower() for name in names}


def run(
    runtime: Runtime,
    listening: socket.socket,
    door: Door,
    settings: Settings,
    ready: Callable[[str], None],
    *,
    seal_every_s: float = 0,
) -> int:
    """Serve until told to stop, and seal at intervals where one is given.

    A signal to stop is no error: what was begun is ended or given up within a moment, and 0 is returned.
    """
    address = address_of(listening)
    edge = settings.edge

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            self._captured_signals.clear()  # else it ends the process by the signal, with all that is open here

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                ready(address)
                follower.start()  # after: its start would take a processor from ours

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.stopping.set()  # streams and waiting readers end now, not at the grace period's end
            await super().shutdown(sockets=sockets)

    app = build(
        runtime,
        door.access,
        hosts_of(edge, listening.getsockname()[0]),
        https=(edge.outside or "").startswith("https://"),
    )
    if door.issuer is not None:
        issuing.install(app, door.issuer)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        timeout_keep_alive=KEEP_ALIVE_S,
        backlog=BACKLOG,
        server_header=False,
        http=patient(files_allowed()),
        ws="none",
        proxy_headers=edge.proxies is not None,
        forwarded_allow_ips=edge.proxies,
    )
    prepare()
    follower = FollowerProcess(runtime, settings)
    sealing = Interval(runtime, seal_every_s)
    if seal_every_s:
        sealing.start()
    try:
        with collecting_rarely():
            Server(config).run(sockets=[listening])
    finally:
        sealing.stop()
        follower.stop()
        listening.close()
    return 0


def serve(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Serve the deployment."""
    configure("INFO" if given.log_level == "WARNING" else given.log_level)
    if given.dev and settings.issuer:
        raise CommandError("--dev is for a service without an issuer of tokens: unset RECOUNT_ISSUER")
    if given.dev and given.host not in LOOPBACK:
        raise CommandError(
            f"--host {given.host}: --dev lets in whoever asks, so it is on loopback only (127.0.0.1)"
        )
    try:
        access = configured(settings)
    except AccessError as error:
        raise CommandError(str(error)) from None
    roots_in(settings.tsa_roots)  # now, not at the first seal in an hour
    listening = listen(given.host, given.port, guarded=access is not None)
    door = local_door(settings, listening) if given.dev else Door(access or Access())
    if given.host in EVERY_ADDRESS and settings.edge.outside is None:
        terminal.say("RECOUNT_PUBLIC_URL is not set: the service answers to loopback's names only.")
    if not given.dev and access is None:
        terminal.say(
            "No issuer of tokens is configured (RECOUNT_ISSUER, RECOUNT_JWKS; or --dev): nobody gets in."
        )
    with opened(settings, terminal.say, answer_max_s=ANSWER_MAX_S) as runtime:
        ready = lambda address: terminal.say(f"Recount serves {address}")  # noqa: E731
        return run(runtime, listening, door, settings, ready, seal_every_s=given.seal_every * 60)


def demo(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Import the Harbin case and serve it."""
    listening = listen("127.0.0.1", given.port, guarded=False)
    door = local_door(settings, listening)
    with opened(settings, terminal.say, answer_max_s=ANSWER_MAX_S) as runtime:
        rejects = Rejects(settings.data_dir / "rejects" / "demo.jsonl")
        with as_file(files("api") / "demo" / "harbin.jsonl") as history:
            tally = import_all(runtime, [str(history)], rejects, settings.data_dir, terminal.progress)
        rejects.close()
        catch_up(runtime.deployment, READ_MODELS, runtime.clock)

        where = "" if given.data == DEFAULT_DATA else f" --data {shlex.quote(str(given.data))}"

        def ready(address: str) -> None:
            terminal.answer(
                {"address": address, "appended": tally.appended, "repeated": tally.repeated},
                [
                    f"Recount: the Harbin case, {tally.lines} events ({tally.appended} new). Open or try:",
                    f"  {address}/console",
                    f"  {address}/docs",
                    f"  TOKEN=$(curl -sd person=investigator-a {address}/auth/demo-token)",
                    f'  curl -sH "Authorization: Bearer $TOKEN" {address}/investigations/party/P-HRB/timeline',
                    f"  the people: {', '.join(PEOPLE)}; or: scripts/recount token clerk{where}",
                    f"  scripts/recount replay account/A-FTTH --at 2014-12-09 --known-at 2014-12-09{where}",
                    f"  scripts/recount findings party/P-HRB --known-at 2014-12-17{where}",
                    f"  scripts/recount counterfactual party/P-HRB --until 2014-12-17{where}",
                    "Ctrl-C stops it; the data stays.",
                ],
            )

        return run(runtime, listening, door, settings, ready)
