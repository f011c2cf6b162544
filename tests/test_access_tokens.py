"""Tokens: whom they let in, and that nothing else does, whatever is sent as one."""

import base64
import hmac
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from api.access.issuer import PEOPLE, IssuerError, challenge_of, found_in, kept_in, made_in_memory
from api.access.keys import RETRY_S, STALE_MAX_S, FetchedKeys, FixedKeys, KeysError, key_set, keys_at
from api.access.tokens import ALGORITHMS, KEPT_MAX, LEEWAY_S, TOKEN_MAX_CHARS, TokenError, Verifier

ISSUER, AUDIENCE, NOW = "https://issuer.example", "recount", 1_700_000_000
EC, OTHER = ECKey.generate_key("P-256", {"kid": "k1"}), ECKey.generate_key("P-256", {"kid": "k1"})
PUBLIC = KeySet([ECKey.import_key(EC.as_dict(private=False))])


class Clock:
    """A clock that stands until it is moved."""

    now = float(NOW)

    def __call__(self) -> float:
        return self.now


def verifier(keys=None, clock=None, **given):
    return Verifier(ISSUER, AUDIENCE, keys or FixedKeys(PUBLIC), clock=clock or Clock(), **given)


def claims(**changed):
    """Return the claims of a good token, some of them changed; None leaves one out."""
    good = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "staff/S-1",
        "exp": NOW + 60,
        "scope": "crm:write billing:read",
        "regions": ["heilongjiang.harbin"],
    }
    return {k: v for k, v in {**good, **changed}.items() if v is not None}


def signed(key=EC, alg="ES256", header=None, **changed):
    head = {"alg": alg, "kid": "k1", **(header or {})}
    lenient = JWSRegistry(algorithms=[alg], strict_check_header=False)
    return jwt.encode(head, claims(**changed), key, registry=lenient)


def part(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def refused(token, *, by=None):
    with pytest.raises(TokenError) as caught:
        (by or verifier()).verify(token)
    return str(caught.value)


def test_a_good_token_says_who_asks_what_they_may_do_and_where():
    """The subject, the scopes that are known here, the regions; a list and a text of words read the same."""
    found = verifier().verify(signed(scope="crm:write unknown:scope", acts_for=["customer"]))
    assert found.subject == "staff/S-1"
    assert found.scopes == {"crm:write"}
    assert found.regions == ("heilongjiang.harbin",)
    assert found.may_act_as("staff/S-1")
    assert found.may_act_as("customer/P-1")
    assert not found.may_act_as("staff/S-2")
    listed = verifier().verify(signed(scope=None, scp=["billing:read"], regions="heilongjiang jilin"))
    assert (listed.scopes, listed.regions) == ({"billing:read"}, ("heilongjiang", "jilin"))


def test_a_token_without_regions_covers_none():
    """Nothing is shown by default."""
    found = verifier().verify(signed(regions=None))
    assert found.regions == ()
    assert not found.covers("heilongjiang.harbin")


def test_a_province_covers_its_cities_and_no_other_that_begins_like_it():
    """heilongjiang covers heilongjiang.harbin, not heilongjiangx; a city not its province."""
    province = verifier().verify(signed(regions=["heilongjiang"]))
    assert province.covers("heilongjiang")
    assert province.covers("heilongjiang.harbin")
    assert not province.covers("heilongjiangx.harbin")
    city = verifier().verify(signed())
    assert not city.covers("heilongjiang")
    assert not city.covers("heilongjiang.harbin2")
    assert verifier().verify(signed(regions=["*"])).covers("jilin")


def test_an_issuers_own_name_of_somebody_is_one_of_the_staff():
    """A subject that is no actor becomes staff/ID."""
    assert verifier().verify(signed(sub="5f0c-1b7c")).subject == "staff/5f0c-1b7c"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"exp": NOW - LEEWAY_S}, "expired"),
        ({"exp": None}, "missing"),
        ({"exp": "never"}, "not as it should be"),
        ({"exp": True}, "not as it should be"),
        ({"nbf": NOW + LEEWAY_S + 1}, "not valid yet"),
        ({"iat": NOW + 3_600}, "not valid yet"),
        ({"iss": "https://other.example"}, "another issuer"),
        ({"iss": None}, "missing"),
        ({"iss": [ISSUER]}, "another issuer"),
        ({"aud": "other"}, "another audience"),
        ({"aud": ["other", "third"]}, "another audience"),
        ({"aud": None}, "missing"),
        ({"sub": None}, "missing"),
        ({"sub": ""}, "not as it should be"),
        ({"sub": 7}, "not as it should be"),
        ({"sub": "staff/"}, "subject should be"),
        ({"sub": "staff/a b"}, "subject should be"),
        ({"sub": "staff/a\nb"}, "subject should be"),
        ({"sub": "x" * 5_000}, "subject should be"),
        ({"scope": {"a": 1}}, "lists of words"),
        ({"scope": [1]}, "lists of words"),
        ({"regions": ["HARBIN"]}, "regions should be"),
        ({"regions": ["heilongjiang.harbin; DROP TABLE event"]}, "regions should be"),
        ({"regions": [f"r{n}" for n in range(101)]}, "at most"),
        ({"regions": {"a": "b"}}, "lists of words"),
        ({"acts_for": ["everybody"]}, "kinds of actors"),
    ],
)
def test_claims_that_are_not_as_they_should_be_let_nobody_in(changed, said):
    """Each says why in words of ours, without what came in."""
    assert said in refused(signed(**changed))


def test_among_several_audiences_ours_is_enough():
    """As RFC 7519 says."""
    assert verifier().verify(signed(aud=["other", AUDIENCE]))


def test_clocks_may_differ_a_little():
    """Half a minute, both ways."""
    assert verifier().verify(signed(exp=NOW - LEEWAY_S + 1))
    assert verifier().verify(signed(nbf=NOW + LEEWAY_S))


def test_another_key_of_the_same_name_signs_nothing():
    """The signature is checked, not the key id."""
    assert "signature" in refused(signed(OTHER))
    assert "none of the issuer's" in refused(
        jwt.encode({"alg": "ES256", "kid": "k9"}, claims(), EC, algorithms=["ES256"])
    )


def test_a_secret_made_of_the_public_key_signs_nothing():
    """The classic confusion: HS256 with the public key as its secret; and no algorithm at all."""
    for text in (EC.as_pem(private=False), orjson.dumps(EC.as_dict(private=False))):
        for alg in ("HS256", "HS384", "HS512"):
            signing = f"{part({'alg': alg, 'kid': 'k1'})}.{part(claims())}"
            digest = hmac.new(text, signing.encode(), f"sha{alg[2:]}").digest()
            assert "not taken" in refused(f"{signing}.{part(digest)}")
    for alg in ("none", "None", "NONE", "nOnE", "", None, 7, ["ES256"], "ES256K"):
        for signature in ("", part(b"x" * 64)):
            refused(f"{part({'alg': alg, 'kid': 'k1'})}.{part(claims())}.{signature}")
    unsigned = f"{part({'kid': 'k1'})}.{part(claims())}.{part(b'x' * 64)}"
    refused(unsigned)


@pytest.mark.parametrize(
    ("key", "algs"),
    [
        (RSAKey.generate_key(2048, {"kid": "k1"}), ("RS256", "RS512", "PS256")),
        (EC, ("ES256",)),
        (ECKey.generate_key("P-384", {"kid": "k1"}), ("ES384",)),
        (OKPKey.generate_key("Ed25519", {"kid": "k1"}), ("Ed25519",)),
    ],
)
def test_signatures_with_private_keys_are_taken_and_only_the_allowed(key, algs):
    """Each by its own algorithm; one that is not allowed is not."""
    keys = FixedKeys(key_set(orjson.dumps({"keys": [key.as_dict(private=False)]})))
    for alg in algs:
        token = signed(key, alg)
        assert verifier(keys).verify(token).subject == "staff/S-1"
        others = tuple(a for a in ALGORITHMS if a != alg)
        assert "not taken" in refused(token, by=verifier(keys, algorithms=others))


def test_a_critical_header_that_is_not_understood_lets_nobody_in():
    """RFC 7515: crit has to be understood; what else stands in a header does no harm."""
    text = {"alg": "ES256", "kid": "k1", "crit": ["exp"], "exp": 1}
    refused(f"{part(text)}.{part(claims())}.{part(b'x' * 64)}")
    assert verifier().verify(signed(header={"nonce": "x", "typ": "at+jwt"}))


def test_a_key_that_comes_with_the_token_is_not_used():
    """jwk, jku and x5c in a header are the sender's word for themselves."""
    brought = {"jwk": OTHER.as_dict(private=False), "jku": "https://attacker.example/keys"}
    assert "signature" in refused(signed(OTHER, header=brought))


# -- what is sent as a token


GOOD = signed()
HOSTILE = [
    "", ".", "..", "...", "a.b.c", "é.é.é", "\x00", f"{GOOD}\x00", f"\x00{GOOD}", GOOD.replace(".", ". "),
    f"{GOOD}.{GOOD}", "\ud800.\ud800.\ud800", "=" * 100, "a" * TOKEN_MAX_CHARS, "." * 5_000,
    f"{part(b'[' * 2_000)}.{part(claims())}.{part(b'x')}",
    f"{part({'alg': 'ES256', 'kid': 'k1'})}.{part(b'[' * 3_000)}.{part(b'x')}",
    f"{part({'alg': 'ES256', 'kid': {'a': [1]}})}.{part(claims())}.{part(b'x')}",
    f"{part(b'{}')}.{part(b'null')}.", f"{part(b'null')}.{part(b'null')}.{part(b'')}",
    f"{part(b'[]')}.{part(claims())}.{part(b'x')}", f"{part(b'1e999')}.{part(claims())}.{part(b'x')}",
    f"{part(b'{')}.{part(claims())}.{part(b'x')}", f"{part(bytes(range(128, 255)))}.{part(claims())}.{part(b'x')}",
    f"{part({'alg': 'ES256', 'b64': False, 'crit': ['b64']})}.{json.dumps(claims())}.{part(b'x')}",
    f"{part({'alg': 'ES256', 'zip': 'DEF', 'enc': 'A256GCM'})}.{part(b'x')}.{part(b'x')}.{part(b'x')}.{part(b'x')}",
]  # fmt: skip


@pytest.mark.parametrize("token", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_token_is_refused_and_breaks_nothing(token):
    """Whatever it is: a TokenError, and nothing of it in its words."""
    said = refused(token)
    assert len(said) < 120
    assert "\x00" not in said


def test_a_signed_payload_that_is_nested_or_huge_is_refused():
    """Also where the issuer's own key signed it: a token is a small flat thing."""
    for payload in (
        "[" * 100_000,
        "[" * 3_000 + "]" * 3_000,
        '{"exp": 1e999}',
        '{"exp": NaN}',
        "1",
        "\ud800",
    ):
        header = {"alg": "ES256", "kid": "k1"}
        from joserfc import jws

        refused(
            jws.serialize_compact(header, payload.encode(errors="surrogatepass"), EC, algorithms=["ES256"])
        )


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 2**7 - 1))
def test_no_character_of_a_token_can_be_another(index, code):
    """Any single character changed and any truncation let nobody in, or the very same person."""
    door = verifier()
    changed = GOOD[:index] + chr(code) + GOOD[index + 1 :]
    for token in (changed, GOOD[:index]):
        if token == GOOD:
            continue
        try:
            found = door.verify(token)
        except TokenError:
            continue
        # base64 has spare bits at the end of each part: the same bytes may be written in several ways
        assert found == verifier().verify(GOOD)
        assert len(token) == len(GOOD)


@given(
    st.text(max_size=300) | st.binary(max_size=300).map(part), st.binary(max_size=200), st.binary(max_size=80)
)
def test_noise_lets_nobody_in(header, payload, signature):
    """Whatever stands in the three parts."""
    refused(f"{header}.{part(payload)}.{part(signature)}")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["exp", "nbf", "iat", "iss", "aud", "sub", "scope", "scp", "regions", "acts_for"]),
)
def test_a_signed_claim_of_any_kind_is_taken_or_refused(value, name):
    """An issuer that is careless breaks nothing here, and widens nothing: regions are regions."""
    try:
        found = verifier().verify(signed(**{name: value}))
    except TokenError:
        return
    assert set(found.scopes) <= {"crm:write", "billing:read"}
    assert all(r == "*" or r[0].islower() for r in found.regions)


# -- what is kept in mind


def test_a_verified_token_is_kept_until_it_expires_and_no_longer():
    """Checking it again costs no signature; once it has expired it is checked and refused."""
    clock = Clock()
    door = verifier(clock=clock)
    token = signed(exp=NOW + 60)
    assert door.kept(token) is None
    first = door.verify(token)
    assert door.kept(token) is first
    clock.now = NOW + 60
    assert door.kept(token) is None
    clock.now = NOW + 60 + LEEWAY_S
    assert "expired" in refused(token, by=door)


def test_what_is_kept_is_bounded():
    """The oldest are forgotten, and only have to be checked again."""
    door = verifier()
    for number in range(KEPT_MAX + 5):
        door._keep(f"t{number}", door_kept(door))
    assert len(door._kept) == KEPT_MAX
    assert door.kept("t0") is None
    assert door.kept(f"t{KEPT_MAX}") is not None


def door_kept(door):
    door.verify(GOOD)
    return door._kept[next(iter(door._kept))]


def test_a_refused_token_is_not_kept():
    """Nothing that let nobody in is in mind."""
    door = verifier()
    refused(signed(OTHER), by=door)
    assert not door._kept


# -- where keys come from


class Published:
    """A key set that is published, and counts who reads it."""

    def __init__(self, *keys):
        self.reads, self.broken = 0, False
        self.put(*keys)

    def put(self, *keys):
        self.text = orjson.dumps({"keys": [k.as_dict(private=False) for k in keys]})

    def __call__(self):
        self.reads += 1
        if self.broken:
            raise OSError("away")
        return self.text


def test_a_new_key_of_the_issuer_is_found_and_a_withdrawn_one_is_gone():
    """A key id nobody knows makes the set be read anew, within a bound; tokens in mind end with the old set."""
    clock, published = Clock(), Published(EC)
    keys = FetchedKeys(published, clock)
    door = verifier(keys)
    old = signed()
    door.verify(old)
    fresh = ECKey.generate_key("P-256", {"kid": "k2"})
    published.put(fresh)
    token = jwt.encode({"alg": "ES256", "kid": "k2"}, claims(), fresh, algorithms=["ES256"])
    assert "none of the issuer's" in refused(token, by=door)  # asked a moment ago
    clock.now += RETRY_S
    assert door.verify(token)
    assert published.reads == 2
    assert door.kept(old) is None
    assert "none of the issuer's" in refused(old, by=door)


def test_unknown_key_ids_cost_the_issuer_one_read_in_a_while():
    """However many are sent."""
    clock, published = Clock(), Published(EC)
    door = verifier(FetchedKeys(published, clock))
    for number in range(200):
        refused(f"{part({'alg': 'ES256', 'kid': f'x{number}'})}.{part(claims())}.{part(b'x' * 64)}", by=door)
    assert published.reads == 1


def test_an_issuer_that_is_away_is_asked_seldom_and_its_keys_serve_for_a_day():
    """Then nobody gets in: a key that was withdrawn must not live for ever."""
    clock, published = Clock(), Published(EC)
    keys = FetchedKeys(published, clock)
    keys.of("k1")
    published.broken = True
    clock.now += STALE_MAX_S
    assert keys.of("k1")
    clock.now += RETRY_S
    with pytest.raises(KeysError, match="can't be read"):
        keys.of("k1")
    for _ in range(50):
        with pytest.raises(KeysError):
            keys.of("k1")
    assert published.reads == 3


def test_many_at_once_read_the_keys_once():
    """Who comes first reads, the others wait for it."""
    published = Published(EC)
    keys = FetchedKeys(published)
    threads = [threading.Thread(target=keys.of, args=("k1",)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert published.reads == 1


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[]", b"null", b'{"keys": null}', b'{"keys": []}', b'{"keys": [1]}', b'{"keys": [{}]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', b'{"keys": [{"kty": "EC"}]}', b"[" * 100_000,
        b'{"keys": [{"kty": "RSA", "n": "AQ", "e": "!"}]}', b" " * 300_000,
        b'{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "k1"}]}',
    ],
    ids=range(14),
)  # fmt: skip
def test_what_is_no_set_of_public_keys_is_refused(text):
    """A secret in the set would let anybody who reads it sign."""
    with pytest.raises(KeysError):
        key_set(text)


def test_keys_are_read_from_a_file_or_an_address(tmp_path):
    """https, or http on loopback; anything else is said to be wrong at the start."""
    file = tmp_path / "keys.json"
    file.write_bytes(Published(EC).text)
    assert verifier(keys_at(str(file))).verify(signed())

    class Keys(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/keys" else 404)
            self.end_headers()
            self.wfile.write(Published(EC).text)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keys)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        assert verifier(keys_at(f"{address}/keys")).verify(signed())
        with pytest.raises(KeysError, match="404"):
            keys_at(f"{address}/other").of("k1")
    finally:
        server.shutdown()
        server.server_close()
    for wrong in (
        "http://issuer.example/keys",
        "ftp://issuer.example",
        "file:///etc/passwd",
        str(tmp_path / "none"),
    ):
        with pytest.raises(KeysError):
            keys_at(wrong)


# -- the local issuer


def test_the_local_issuer_keeps_its_key_to_itself(tmp_path):
    """0600, the same key at the next start, and nothing private in what it publishes."""
    first = kept_in(tmp_path, "http://127.0.0.1:8000")
    file = tmp_path / "issuer.json"
    assert file.stat().st_mode & 0o777 == 0o600
    again = kept_in(tmp_path, "http://127.0.0.1:9000")
    assert again.jwks == first.jwks
    assert found_in(tmp_path).url == "http://127.0.0.1:9000"
    assert "d" not in first.jwks["keys"][0]
    token = found_in(tmp_path).token(PEOPLE["clerk"])
    assert again.access().verify(token).subject == "staff/S-01"
    with pytest.raises(TokenError, match="another issuer"):
        first.access().verify(token)
    file.write_bytes(b"{}")
    with pytest.raises(IssuerError, match="is no issuer's key"):
        kept_in(tmp_path, "http://127.0.0.1:8000")


def test_a_code_is_good_once_soon_and_for_who_began():
    """Another verifier, another address, a second time and a minute later get nothing."""
    clock = Clock()
    issuer = made_in_memory("http://127.0.0.1:8000")
    issuer._clock = clock
    back, verifier_text = "http://127.0.0.1:8000/console/signed-in", "v" * 43

    def code():
        return issuer.code(PEOPLE["clerk"], back, challenge_of(verifier_text))

    assert issuer.redeem(code(), back, verifier_text) is PEOPLE["clerk"]
    used = code()
    issuer.redeem(used, back, verifier_text)
    late = code()
    wrong = [
        (used, back, verifier_text),
        ("none", back, verifier_text),
        (code(), "http://evil.example", verifier_text),
        (code(), back, "w" * 43),
        (code(), back, ""),
        (code(), back, "v" * 42),
    ]
    for given_code, given_back, given_verifier in wrong:
        with pytest.raises(IssuerError):
            issuer.redeem(given_code, given_back, given_verifier)
    clock.now += 61
    with pytest.raises(IssuerError):
        issuer.redeem(late, back, verifier_text)
    for number in range(2_000):
        issuer.code(PEOPLE["clerk"], back, str(number))
    assert len(issuer._codes) == 1_000
