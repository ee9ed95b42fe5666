"""harness/redact/: what may never reach a file."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest

from harness import redact
from harness.redact.variables import known

KEY = "hunter2/Hunter+2=õ"
ENVIRONMENT = {"MY_API_KEY": KEY, "HOME": "/home/somebody-or-other", "PATH": "/usr/bin:/bin:/sbin"}
ANTHROPIC = "sk-ant-" + "api03-abcdefgh"
KEY_LINE = "MIIEowIBAAKCAQEAx3J9" * 3


# --- removing ---------------------------------------------------------------------------------------


def test_only_allowed_headers_remain():
    """A header that nobody thought of is dropped, whatever its case; lists and bytes become text."""
    given = {
        "Authorization": "Bearer x",
        "X-Api-Key": "k",
        "Cookie": "a=b",
        "Set-Cookie": "c",
        "X-Surprise": "1",
        "Anthropic-Version": ["2023-06-01"],
        "anthropic-beta": b"tools",
    }
    assert redact.headers(given, redact.REQUEST_HEADERS) == {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "tools",
    }
    answer = {"Content-Type": ["application/json"], "Set-Cookie": ["s"], "request-id": ["r"]}
    assert redact.headers(answer, redact.RESPONSE_HEADERS) == {"content-type": "application/json"}


SECRET_KEYS = [
    "api_key",
    "apikey",
    "apiKey",
    "API_KEY",
    "api-key",
    "x-api-key",
    "anthropic_api_key",
    "access_token",
    "accessToken",
    "access-token",
    "sessionToken",
    "secretKey",
    "private-key",
    "aws_secret_access_key",
    "x-goog-api-key",
    "refresh_token",
    "auth_token",
    "token",
    "github_token",
    "secret",
    "client_secret",
    "password",
    "db_password",
    "authorization",
    "Authorization",
    "cookie",
    "set-cookie",
    "value_enc",
    "api_key_enc",
]
ORDINARY_KEYS = [
    "prompt_tokens",
    "max_tokens",
    "total_tokens",
    "completion_tokens",
    "input_tokens",
    "cache_read_input_tokens",
    "reasoning_tokens",
    "max_completion_tokens",
    "tokens",
    "tokenizer",
    "token_count",
    "tool_call_id",
    "key",
    "keys",
    "id",
    "value",
    "secretary",
    "passwords_checked",
    "password_length",
    "cookies_eaten",
    "spec",
    "monkey",
    "authorization_url",
]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_whatever_stands_under_a_secret_key_is_replaced(key):
    """A text, a list or a mapping under a telling key is gone, at any depth."""
    for held in ("s3cret", ["s3cret"], {"a": "s3cret"}, [{"deep": ["s3cret"]}]):
        value = {key: held, "a": [{key: held}], "b": {"c": {key: held}}}
        assert "s3cret" not in json.dumps(redact.body(value))


@pytest.mark.parametrize("key", ORDINARY_KEYS)
def test_ordinary_keys_keep_their_values(key):
    """Counts and names that merely sound alike are part of what is measured, whatever their value."""
    value = {"usage": [{key: held} for held in (12, "some text", None, ["a"], {"a": "b"})]}
    assert redact.body(value) == value


def test_the_secrets_of_a_letta_agent_are_removed_both_ways():
    """Sent as a mapping, echoed by the server as a list of key and value: neither keeps a value."""
    sent = {"name": "a", "secrets": {"ANTHROPIC_API_KEY": "s3cret-1", "PLAIN": "s3cret-2"}}
    echoed = {
        "secrets": [
            {"key": "ANTHROPIC_API_KEY", "value": "s3cret-1", "id": "secret-1", "description": None},
            {"key": "PLAIN", "value": "s3cret-2", "value_enc": "s3cret-2"},
        ],
        "tool_exec_environment_variables": [{"key": "PLAIN", "value": "s3cret-2"}],
    }
    assert redact.body(sent) == {
        "name": "a",
        "secrets": {"ANTHROPIC_API_KEY": redact.SECRET, "PLAIN": redact.SECRET},
    }
    clean = redact.body(echoed)
    assert "s3cret" not in json.dumps(clean)
    assert clean["secrets"][0]["key"] == "ANTHROPIC_API_KEY"
    assert clean["secrets"][0]["description"] is None


def test_key_and_value_in_ordinary_data_are_left_alone():
    """A pair of key and value is a secret only where secrets are listed."""
    value = {"rows": [{"key": "colour", "value": "red"}], "items": {"key": "a", "value": "b"}}
    assert redact.body(value) == value


@pytest.mark.parametrize(
    "value", [{"api_key": "x"}, {"secrets": {"A": "x"}}, {"secrets": [{"key": "A", "value": "x"}]}]
)
def test_scrubbing_twice_is_scrubbing_once(value):
    """A hook that runs on recording and on loading changes nothing the second time."""
    once = redact.body(value)
    assert redact.body(once) == once


@pytest.mark.parametrize(
    "value", [None, 1, 1.5, True, "", "text", [], {}, [[["a"]]], {"api_key": ""}, {"token": None}]
)
def test_values_without_secrets_come_back_equal(value):
    """An absent key looks absent, not secret."""
    assert redact.body(value) == value


# --- finding ----------------------------------------------------------------------------------------

FORMS = {
    "raw": KEY,
    "json": json.dumps(KEY)[1:-1],
    "base64": base64.b64encode(KEY.encode()).decode(),
    "base64url": base64.urlsafe_b64encode(KEY.encode()).decode(),
    "base64-unpadded": base64.urlsafe_b64encode(KEY.encode()).decode().rstrip("="),
    "percent": quote(KEY, safe=""),
    "percent-lower": quote(KEY, safe="")
    .replace("%2F", "%2f")
    .replace("%2B", "%2b")
    .replace("%3D", "%3d")
    .replace("%C3%B5", "%c3%b5"),
    "percent-twice": quote(quote(KEY, safe=""), safe=""),
    "hex": KEY.encode().hex(),
    "hex-upper": KEY.encode().hex().upper(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_secret_of_the_environment_is_found_in_every_form(form):
    """Its place is told by JSON path and variable; its value never is, in any form."""
    value = {"exchanges": [{"request": {"messages": ["a", f"before {FORMS[form]} after"]}}]}
    assert list(redact.leaks(value, ENVIRONMENT)) == [
        "$.exchanges[0].request.messages[1]: the value of MY_API_KEY"
    ]


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "a much longer text before it "])
def test_a_secret_inside_a_longer_base64_text_is_found(before):
    """Base64 shifts with what stands before: a basic-auth header hides a key from a plain search."""
    for after in ("", "!", "!!", " and after"):
        coded = base64.b64encode(f"{before}{KEY}{after}".encode()).decode()
        assert list(redact.leaks({"a": coded}, ENVIRONMENT)) == ["$.a: the value of MY_API_KEY"]


def test_a_secret_in_a_form_is_found():
    """In a form's encoding a blank is a plus."""
    environment = {"A_TOKEN": "two words/and more"}
    assert list(redact.leaks(quote_plus(environment["A_TOKEN"]), environment))


def test_a_secret_in_a_json_text_inside_json_is_found():
    """Tool arguments are JSON in JSON, where quotes and backslashes are escaped once more."""
    environment = {"A_PASSWORD": 'quo"te\\back\nslash'}
    value = {"arguments": json.dumps({"x": environment["A_PASSWORD"]})}
    assert list(redact.leaks(value, environment)) == ["$.arguments: the value of A_PASSWORD"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (ANTHROPIC, "an API key"),
        ("sk-" + "proj-abcdefgh12", "an API key"),
        ("sk-" + "let-abcdefgh12", "an API key"),
        ("sk-" + "A1" * 16, "an API key"),
        ("Authorization: Bearer " + "a1B2" * 5, "a bearer token"),
        ("eyJ" + "hbGciOiJIUzI1NiJ9." + "eyJ" + "zdWIiOiIxMjM0NTY3ODkwIn0.sig", "a JSON web token"),
        ("AKIA" + "IOSFODNN7QX2M4LA", "an AWS key"),
        ("ghp_" + "a" * 36, "a GitHub token"),
        ("github_pat_" + "a" * 30, "a GitHub token"),
        ("AIza" + "b" * 35, "a Google key"),
        ("-----BEGIN RSA " + f"PRIVATE KEY-----\n{KEY_LINE}", "a private key"),
        ("-----BEGIN " + f"PRIVATE KEY-----\n{KEY_LINE}", "a private key"),
        ("-----BEGIN OPENSSH " + f"PRIVATE KEY-----\n{KEY_LINE}", "a private key"),
        ("-----BEGIN PGP " + f"PRIVATE KEY BLOCK-----\n\n{KEY_LINE}", "a private key"),
        ("ASIA" + "IOSFODNN7QX2M4LA", "an AWS key"),
        ("hf_" + "aBcD" * 8 + "eF", "a Hugging Face token"),
        ("xoxb-" + "847362950172-hQzTbXkWmN", "a Slack token"),
        ("xoxp-" + "847362950172-hQzTbXkWmN", "a Slack token"),
        ("sk_" + "live_" + "a1B2" * 6, "a Stripe key"),
        ("rk_" + "live_" + "a1B2" * 6, "a Stripe key"),
        ("Authorization: Basic " + "dXNlcjpodW50ZXIy", "a basic authorization"),
        ('"authorization": "Basic ' + 'dXNlcjpodW50ZXI=="', "a basic authorization"),
        ('\\"Authorization\\": \\"basic ' + 'dXNlcjpodW50ZXI\\"', "a basic authorization"),
        ("postgresql://user:" + "h8@host", "a password in a URL"),
        ("postgresql+asyncpg://app:" + "hunter2@db.internal:5432/x", "a password in a URL"),
        ("redis://:" + "hunter2@cache:6379/0", "a password in a URL"),
        ("see https://me:" + "h@nter2@host/x for more", "a password in a URL"),
        ("amqp://me:" + "hunter2@[::1]:5672", "a password in a URL"),
    ],
)
def test_a_known_shape_is_found_without_any_environment(text, kind):
    """A key that nobody set here is still recognised by how it looks, in values and in keys."""
    assert list(redact.leaks({"a": f"x {text} y"}, {})) == [f"$.a: what looks like {kind}"]
    (found,) = redact.leaks({text: 1}, {})
    assert found == f"$.<key>: what looks like {kind}"


def test_a_secret_that_is_a_key_is_not_told_by_the_path():
    """The path to a second find does not pass through the first."""
    value = {ANTHROPIC: [ANTHROPIC], KEY: {"a": KEY}}
    found = list(redact.leaks(value, ENVIRONMENT))
    assert len(found) == 4
    assert ANTHROPIC not in " ".join(found)
    assert KEY not in " ".join(found)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a task-or-subtask-list of a person",
        "You may ask-or-answer-later-on",
        "risk-ant-colony-optimisation",
        "the bearer of bad news",
        "the sk- prefix",
        "prompt_tokens: 12345678",
        "00000000-0000-4000-8000-000000000012",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "call_abcdefghijklmnopqrstuvwx",
        "toolu_01A09q90qw90lq917835lq9",
        "/home/somebody-or-other",
        "eyJhbGciOiJIUzI1NiJ9",
        "hf_hub_download_and_cache_the_file_for_me",
        "Basic understanding of authorization",
        "authorization: basic",
        "pk_live_ is public",
        "postgresql://letta:letta@localhost:5432/letta",
        "postgresql://user:password@localhost/db",
        "postgresql://{user}:{password}@{host}/db",
        "postgres://$USER:$PASSWORD@localhost",
        "mysql://user:%s@localhost",
        "https://<user>:<token>@host",
        "redis://user:***@host",
        "http://localhost:8283/v1/agents/",
        "http://[::1]:8283/x@y",
        "https://host/path:with@sign",
        "git+ssh://git@host/repo.git",
        "the PUBLIC KEY and the PRIVATE KEY of a pair",
    ],
)
def test_an_ordinary_text_is_no_leak(text):
    """A recording is not refused for words, ids, hashes or folders."""
    assert list(redact.leaks({"a": text}, ENVIRONMENT)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOME_KEY", "short"),
        ("A_TOKEN", ""),
        ("A_TOKEN", "   "),
        ("EDITOR", "a-long-enough-value"),
        ("USE_KEYRING", "false"),
        ("PWD", "/home/somebody-or-other"),
        ("SSH_AUTH_SOCK", "/run/user/1000/keyring"),
        ("COMPASS", "a-long-enough-value"),
        ("LETTA_PG_URI", "postgresql://letta:letta@localhost:5432/letta"),
        ("DATABASE_URL", "postgresql://user:password@localhost/db"),
        ("DATABASE_URL", "postgresql://localhost:5432/database"),
    ],
)
def test_short_or_plain_variables_are_no_secrets(name, value):
    """A flag under a telling name, or a plain variable, does not make half the texts secret."""
    assert redact.environment_secrets({name: value}) == {}


@pytest.mark.parametrize(
    "name",
    [
        "OPENAI_API_KEY",
        "openai_api_key",
        "GH_TOKEN",
        "CLIENT_SECRET",
        "DB_PASSWORD",
        "PGPASSWD",
        "AWS_CREDENTIALS",
        "SIGNING_PASSPHRASE",
        "DB_PASS",
        "DB_PWD",
        "DBPASS",
        "ROOT_SSHPASS",
        "userpwd",
        "NPM_AUTH",
        "SESSION_COOKIE",
    ],
)
def test_a_telling_name_makes_a_secret(name):
    """The usual names of keys are all known."""
    assert list(redact.leaks("x s3cret-value y", {name: " s3cret-value\n"})) == [f"$: the value of {name}"]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:{}@db.internal:5432/x",
        "postgresql+asyncpg://app:{}@db.internal/x",
        "redis://:{}@cache",
        "primary=https://me:{}@one.internal/ fallback=none",
        "none,mongodb://me:{}@one,two/x",
    ],
)
def test_the_password_of_a_url_in_the_environment_is_a_secret(url):
    """Wherever the URL stands in its variable, and whatever that is called: the password alone is found."""
    passwords = {
        "DATABASE_URL": "hunter2-hunter2",
        "PG_URI": "hunter2$hunter2",
        "ANY_NAME": "hunter2@hunter2",
    }
    for name, password in passwords.items():
        environment = {name: url.format(password)}
        assert list(redact.leaks(f"x {password} y", environment)) == [f"$: the value of {name}"]
        assert list(redact.leaks("the db.internal host, app", environment)) == []


def test_a_quoted_password_of_a_url_is_found_as_the_server_knows_it():
    """What is percent-encoded in the URL is plain elsewhere."""
    environment = {"DATABASE_URL": "postgresql://app:hunter2%2Fhunter2@host"}
    for text in ("hunter2/hunter2", "hunter2%2Fhunter2"):
        assert list(redact.leaks(text, environment)) == ["$: the value of DATABASE_URL"]


def test_a_variable_that_is_not_text_is_a_secret_like_any_other():
    """Bytes that are no UTF-8, as an environment may hold, do not end the scan with an exception."""
    assert list(redact.leaks("x", {"A_KEY": "\udcff\udcfeabcdefgh"})) == []
    assert list(redact.leaks("\udcff\udcfeabcdefgh", {"A_KEY": "\udcff\udcfeabcdefgh"}))


def test_every_string_is_looked_at_with_its_path():
    """Keys, values, list items and tuples are all part of what is scanned."""
    value = {"a": ["x", {"b": "y"}], "c": ("z",), "d": 1, "e": None}
    assert dict(redact.strings(value)) == {
        "$.<key>": "e",
        "$.a[0]": "x",
        "$.a[1].<key>": "b",
        "$.a[1].b": "y",
        "$.c[0]": "z",
    }


# --- for people -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_a_redacted_text_holds_nothing_that_the_scan_would_name(form):
    """What a person is shown has a mark in place of each secret, and keeps the rest."""
    text = redact.redact(f"start {FORMS[form]} and {ANTHROPIC} end", ENVIRONMENT)
    assert text.startswith("start ")
    assert text.endswith(" end")
    assert list(redact.leaks(text, ENVIRONMENT)) == []
    assert ANTHROPIC not in text


@pytest.mark.parametrize("end", ["\n-----END RSA " + "PRIVATE KEY-----\n", ""])
@pytest.mark.parametrize("line", ["\n", "\\n", "\r\n"])
def test_a_private_key_is_redacted_with_its_lines(line, end):
    """Not its first line alone; also where it is cut off, or escaped as in JSON."""
    lines = ["-----BEGIN RSA " + "PRIVATE KEY-----", *["MIIEowIBAAKCAQEA" * 4] * 20]
    text = redact.redact(f"see: {line.join(lines)}{end.replace(chr(10), line)}", {})
    assert text.startswith("see: ")
    assert "MIIE" not in text


def test_the_scan_reads_a_long_conversation_in_no_time():
    """What an agent says again with every request is looked at once: 450 MB of it, 3 MB of text."""
    import time

    messages = [f"message {n}: " + "an ordinary line of a conversation\n" * 300 for n in range(300)]
    began = time.process_time()
    assert list(redact.leaks([messages[:n] for n in range(300)], {"A_KEY": KEY, "B_TOKEN": KEY + "2"})) == []
    assert time.process_time() - began < 2


def test_a_secret_that_begins_like_another_is_redacted_whole():
    """Where one key continues another, no tail of the longer is left standing, whichever comes first."""
    short, long = {"A_KEY": "abcdefgh"}, {"B_KEY": "abcdefgh-and-the-tail"}
    for environment in ({**short, **long}, {**long, **short}):
        assert "tail" not in redact.redact("x abcdefgh-and-the-tail y", environment)


def test_secrets_stay_the_same_where_the_environment_changes_otherwise():
    """Pytest names each test in it; what was remembered of a text would be gone with every test."""
    first = known({**ENVIRONMENT, "PYTEST_CURRENT_TEST": "one"})
    assert known({**ENVIRONMENT, "PYTEST_CURRENT_TEST": "two"}) is first
    assert known({**ENVIRONMENT, "OTHER_API_KEY": "j4nf8s0wl2"}) is not first
