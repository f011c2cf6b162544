"""serve and demo: the service, and the service with the Harbin case in it."""

import argparse
import shlex
import socket
from collections.abc import Callable
from importlib.resources import as_file, files

import uvicorn

from api.app import build
from api.commands.transfer import Rejects, import_all
from api.logging import configure
from api.runtime import READ_MODELS, Runtime, opened
from api.settings import DEFAULT_DATA, Settings
from api.terminal import CommandError, Terminal
from domain.events.envelope import prepare
from projections.engine import catch_up

LOOPBACK = ("127.0.0.1", "::1", "localhost")
BACKLOG = 1_024
SHUTDOWN_S = 5  # how long open requests may still take when the service is told to stop


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens, on loopback only. Raises CommandError.

    Until access is controlled, whoever reaches the port may do everything: another address is refused.
    """
    if host not in LOOPBACK:
        raise CommandError(
            f"--host {host}: the service has no access control yet, so it listens on loopback only (127.0.0.1)"
        )
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
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


def run(runtime: Runtime, listening: socket.socket, ready: Callable[[str], None]) -> int:
    """Serve until told to stop."""
    host, port = listening.getsockname()[:2]
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets=sockets)
            if self.started:
                ready(address)

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.stopping.set()  # streams and waiting readers end now, not at the grace period's end
            await super().shutdown(sockets=sockets)

    app = build(runtime)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        backlog=BACKLOG,
        server_header=False,
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
    listening = listen(given.host, given.port)
    with opened(settings, terminal.say) as runtime:
        return run(runtime, listening, lambda address: terminal.say(f"Recount serves {address}"))


def demo(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    """Import the Harbin case and serve it."""
    listening = listen("127.0.0.1", given.port)
    with opened(settings, terminal.say) as runtime:
        rejects = Rejects(settings.data_dir / "rejects" / "demo.jsonl")
        with as_file(files("api") / "demo" / "harbin.jsonl") as history:
            tally = import_all(runtime, [str(history)], rejects, terminal.progress)
        rejects.close()
        catch_up(runtime.deployment, READ_MODELS, runtime.clock)

        where = "" if given.data == DEFAULT_DATA else f" --data {shlex.quote(str(given.data))}"

        def ready(address: str) -> None:
            terminal.answer(
                {"address": address, "appended": tally.appended, "repeated": tally.repeated},
                [
                    f"Recount: the Harbin case, {tally.lines} events ({tally.appended} new). Open or try:",
                    f"  {address}/docs",
                    f"  {address}/investigations/party/P-HRB/timeline",
                    f"  {address}/billing/accounts/A-FTTH",
                    f"  scripts/recount replay account/A-FTTH --at 2014-12-09 --known-at 2014-12-09{where}",
                    f"  scripts/recount findings party/P-HRB --known-at 2014-12-17{where}",
                    f"  scripts/recount counterfactual party/P-HRB --until 2014-12-17{where}",
                    "Ctrl-C stops it; the data stays.",
                ],
            )

        return run(runtime, listening, ready)
