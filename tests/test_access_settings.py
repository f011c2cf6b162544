"""How a service is told whose tokens it takes and how it is reached; what is not whole is said at the start."""

import argparse

import orjson
import pytest
from joserfc.jwk import ECKey

from api.access.configuring import AccessError, configured, limits_of
from api.access.issuer import LocalIssuer
from api.requests import HOSTS
from api.serving import hosts_of, listen, serve
from api.settings import EdgeSettings, IssuerSettings, Settings
from api.terminal import CommandError, Terminal
from domain.events.fields import MalformedError

ISSUER = "https://issuer.example"


def read(tmp_path, **environment: str) -> Settings:
    return Settings.read(tmp_path, environment)


def test_nothing_set_lets_nobody_in(tmp_path):
    """No issuer, no access; the defaults of the edge."""
    settings = read(tmp_path)
    assert settings.issuer is None
    assert configured(settings) is None
    assert hosts_of(settings.edge) == HOSTS


def test_an_issuer_with_its_keys_in_a_file_is_believed(tmp_path):
    """Its name, the audience and the keys are enough for programs; the two addresses let browsers in as well."""
    key = ECKey.generate_key("P-256")
    key.ensure_kid()
    issuer = LocalIssuer(ISSUER, key)
    keys = tmp_path / "keys.json"
    keys.write_bytes(orjson.dumps(issuer.jwks))
    settings = read(tmp_path, RECOUNT_ISSUER=ISSUER, RECOUNT_AUDIENCE="crm", RECOUNT_JWKS=str(keys))
    access = configured(settings)
    assert access is not None
    assert access.client is None
    assert access.verify(issuer.signed("staff/S-1", [], [], aud="crm")).subject == "staff/S-1"
    whole = read(
        tmp_path,
        RECOUNT_ISSUER=ISSUER,
        RECOUNT_JWKS=str(keys),
        RECOUNT_AUTHORIZE_URL=f"{ISSUER}/authorize",
        RECOUNT_TOKEN_URL=f"{ISSUER}/token",
        RECOUNT_PUBLIC_URL="https://recount.example/",
    )
    found = configured(whole)
    assert found is not None
    assert found.client is not None
    assert (found.client.client_id, found.client.outside) == ("recount-console", "https://recount.example")
    assert "recount.example" in hosts_of(whole.edge)


@pytest.mark.parametrize(
    ("jwks", "said"),
    [
        (None, "RECOUNT_JWKS is missing"),
        ("http://issuer.example/keys", "https addresses, or from a file"),
        ("/nowhere/keys.json", "no such file"),
    ],
)
def test_an_issuer_without_keys_is_said(tmp_path, jwks, said):
    """At the start, in one line that names the setting."""
    with pytest.raises(AccessError, match=said):
        configured(Settings(tmp_path, issuer=IssuerSettings(ISSUER, jwks=jwks)))


@pytest.mark.parametrize(
    "value", ["ftp://x", "recount.example", "https://x/path", "https://x y", "https://a@b"]
)
def test_an_address_of_ones_own_that_is_none_is_said(tmp_path, value):
    """It goes into redirects and into the names that are served."""
    with pytest.raises(MalformedError, match="RECOUNT_PUBLIC_URL"):
        read(tmp_path, RECOUNT_PUBLIC_URL=value)


def test_rates_are_set_and_bad_ones_said(tmp_path):
    """0 is no limit; what is no number is said."""
    limits = limits_of(read(tmp_path, RECOUNT_PERSON_PER_S="0", RECOUNT_SYSTEM_PER_S="2.5").edge)
    assert (limits.person_per_s, limits.system_per_s) == (0, 2.5)
    assert limits.anonymous_per_s == limits_of(EdgeSettings()).anonymous_per_s
    for value in ("-1", "many", "1e9", "nan"):
        with pytest.raises(MalformedError, match="RECOUNT_ANONYMOUS_PER_S"):
            read(tmp_path, RECOUNT_ANONYMOUS_PER_S=value)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "recount.example"])
def test_only_with_an_issuer_the_service_listens_elsewhere_than_on_loopback(tmp_path, host):
    """Without one it is refused; the local issuer is no issuer for others."""
    with pytest.raises(CommandError, match="loopback only"):
        listen(host, 0, guarded=False)
    given = argparse.Namespace(host=host, port=0, dev=True, log_level="ERROR", data=tmp_path)
    with pytest.raises(CommandError, match="--dev"):
        serve(given, Settings(tmp_path), Terminal(as_json=False))
    made = listen("0.0.0.0", 0, guarded=True)
    assert made.getsockname()[0] == "0.0.0.0"
    made.close()


def test_the_local_issuer_and_another_one_do_not_go_together(tmp_path):
    """Who lets in by --dev lets in anybody."""
    given = argparse.Namespace(host="127.0.0.1", port=0, dev=True, log_level="ERROR", data=tmp_path)
    with pytest.raises(CommandError, match="unset RECOUNT_ISSUER"):
        serve(given, Settings(tmp_path, issuer=IssuerSettings(ISSUER)), Terminal(as_json=False))
