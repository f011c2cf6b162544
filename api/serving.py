"""serve and demo: the service, and the service with the Harbin case in it."""

import argparse
import shlex
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from urllib.parse import urlsplit

import uvicorn

from api.access import Access, issuing
from api.access.configuring import AccessError, configured, limits_of
from api.access.issuer import PEOPLE, IssuerError, LocalIssuer, kept_in
from api.app import build
from api.commands.transfer import Rejects, import_one
from api.logging import configure
from api.requests import HOSTS
from api.runtime import READ_MODELS, Runtime, opened
from api.settings import DEFAULT_DATA, EdgeSettings, Settings
from api.terminal import CommandError, Terminal
from domain.events.envelope import prepare
from projections.engine import catch_up

LOOPBACK = ("127.0.0.1", "::1", "localhost")
BACKLOG = 1_024
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


def hosts_of(edge: EdgeSettings) -> frozenset[str]:
    """Return the names under which the service is reached."""
    outside = urlsplit(edge.outside).hostname if edge.outside else None
    return HOSTS | {f"[{outside}]" if ":" in outside else outside} if outside else HOSTS


def run(
    runtime: Runtime, listening: socket.socket, door: Door, edge: EdgeSettings, ready: Callable[[str], None]
) -> int:
    """Serve until told to stop."""
    address = address_of(listening)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                ready(address)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.stopping.set()  # streams and waiting readers end now, not at the grace period's end
            await super().shutdown(sockets=sockets)

    app = build(runtime, door.access, hosts_of(edge), https=(edge.outside or "").startswith("https://"))
    if door.issuer is not None:
        issuing.install(app, door.issuer)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=BACKLOG,
        server_header=False,
        proxy_headers=edge.proxies is not None,
        forwarded_allow_ips=edge.proxies,
    )
    prepare()
    follower = runtime.follower()
    follower.start()
    try:
        Server(config).run(sockets=[listening])
    finally:
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
    listening = listen(given.host, given.port, guarded=access is not None)
    door = local_door(settings, listening) if given.dev else Door(access or Access())
    if not given.dev and access is None:
        terminal.say(
            "No issuer of tokens is configured (RECOUNT_ISSUER, RECOUNT_JWKS; or --dev): nobody gets in."
        )
    with opened(settings, terminal.say) as runtime:
        return run(
            runtime, listening, door, settings.edge, lambda address: terminal.say(f"Recount serves {address}")
        )


def demo(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Import the Harbin case and serve it."""
    listening = listen("127.0.0.1", given.port, guarded=False)
    door = local_door(settings, listening)
    with opened(settings, terminal.say) as runtime:
        rejects = Rejects(settings.data_dir / "rejects" / "demo.jsonl")
        with as_file(files("api") / "demo" / "harbin.jsonl") as history:
            tally = import_one(runtime, str(history), rejects, terminal.progress)
        rejects.close()
        catch_up(runtime.deployment, READ_MODELS, runtime.clock)

        where = "" if given.data == DEFAULT_DATA else f" --data {shlex.quote(str(given.data))}"

        def ready(address: str) -> None:
            terminal.answer(
                {"address": address, "appended": tally.appended, "repeated": tally.repeated},
                [
                    f"Recount: the Harbin case, {tally.lines} events ({tally.appended} new). Open or try:",
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

        return run(runtime, listening, door, settings.edge, ready)
