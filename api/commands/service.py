"""serve, demo and token: added here, done in `api.serving`, which is loaded only when it is needed."""

import argparse

from api.commands.adding import Add
from api.settings import Settings
from api.terminal import CommandError, Terminal
from domain.events.fields import MalformedError


def register(add: Add) -> None:
    """Add the commands to the command line."""
    demo = add("demo", _demo, "the Harbin case, imported and served on loopback")
    demo.add_argument("--port", type=_port, default=8000)
    serve = add("serve", _serve, "the service, on DATABASE_URL or embedded")
    serve.add_argument("--port", type=_port, default=8000)
    serve.add_argument("--host", default="127.0.0.1", help="another than loopback needs an issuer of tokens")
    serve.add_argument(
        "--dev", action="store_true", help="with an issuer of its own for development, on loopback only"
    )
    token = add("token", _token, "a token of the local issuer of demo and serve --dev")
    token.add_argument(
        "person", metavar="PERSON", help="clerk, billing, investigator-a, investigator-b or admin"
    )


def _demo(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    from api.serving import demo  # noqa: PLC0415 - the web framework takes half a second to load

    return demo(given, settings, terminal)


def _serve(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    from api.serving import serve  # noqa: PLC0415 - as above

    return serve(given, settings, terminal)


def _token(given: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
    from api.access.issuer import PEOPLE, IssuerError, found_in  # noqa: PLC0415 - as above

    person = PEOPLE.get(given.person)
    if person is None:
        raise MalformedError("PERSON", f"should be one of {', '.join(PEOPLE)}")
    try:
        token = found_in(settings.data_dir).token(person)
    except IssuerError as error:
        raise CommandError(str(error)) from None
    terminal.answer({"person": person.name, "subject": person.subject, "token": token}, [token])
    return 0


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 65_536:
        raise argparse.ArgumentTypeError("should be a port, 0 to 65535")
    return value
