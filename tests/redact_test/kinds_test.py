"""harness/redact/: every way in which a secret is written, and every text that only looks like one."""

import base64
import gzip
import html
import json
import textwrap
from urllib.parse import quote

import pytest

from harness import redact
from harness.redact.placeholders import is_class_name, is_placeholder
from harness.redact.shapes import KEYS

RANDOM = "Zx9Qw7Rt5Yp3Lk1Mn8Bv6Cc4Dd2Ff0Gg2Hh4Jj6Kk8Ll1Ss3Tt5Uu7Ww9Xx2Yy4Zz6Aa8Ee1Ii3Oo5Pp7" * 2
HEX = "4f1d0c9b8a7e6f5d3c2b1a09e8d7c6b5f4a3928170615243342516078899aabb" * 2
KEY = "sk-" + "ant-api03-" + RANDOM[:40] + "-AA"
PASSWORD = "p'a$s{w*o/rd&1\"<x>"
ENVIRONMENT = {"ANTHROPIC_API_KEY": KEY, "DATABASE": f"postgres://app:{PASSWORD}@db.internal/x"}


def coded(template):
    """The key, each of its characters written by a template."""
    return "".join(template.format(ord(letter)) for letter in KEY)


WRITTEN = {
    "one letter escaped": KEY.replace("s", "\\u0073"),
    "all letters escaped": coded("\\u{:04x}"),
    "escapes of JavaScript": coded("\\u{{{:x}}}"),
    "escapes of C": coded("\\x{:02x}"),
    "octal escapes": coded("\\{:03o}"),
    "JSON in JSON": json.dumps(json.dumps({"key": KEY.replace("k", "\\u006b")})),
    "split by a newline": KEY[:20] + "\n" + KEY[20:],
    "split early and indented": KEY[:8] + "\n    " + KEY[8:],
    "split by a carriage return": KEY[:20] + "\r\n" + KEY[20:],
    "split by a backslash": KEY[:20] + "\\\n" + KEY[20:],
    "split by an escaped newline": KEY[:20] + "\\n" + KEY[20:],
    "concatenated": f'"{KEY[:20]}" +\n    "{KEY[20:]}"',
    "quoted lines": f"> {KEY[:20]}\n> {KEY[20:]}",
    "in a box": f"│ {KEY[:20]} │\n│ {KEY[20:]} │",
    "zero-width spaces": "\u200b".join(KEY),
    "turned": "\u202e".join(KEY),
    "turned and escaped": "\\u202e".join(KEY),
    "spelled": " ".join(KEY),
    "decimal entities": coded("&#{};"),
    "hexadecimal entities": coded("&#x{:x};"),
    "percent": coded("%{:02X}"),
    "percent twice": quote(coded("%{:02X}")),
    "base64 in lines": base64.encodebytes(f"{'much text before it ' * 5}{KEY}".encode()).decode(),
    "base64 in short lines": "\n".join(
        textwrap.wrap(base64.urlsafe_b64encode(f"a{KEY}".encode()).decode(), 20)
    ),
    "base32": base64.b32encode(KEY.encode()).decode(),
    "hex with colons": KEY.encode().hex(":"),
    "hex with blanks": KEY.encode().hex(" ").upper(),
    "hex numbers": ", ".join(f"0x{code:02x}" for code in KEY.encode()),
    "numbers": str(list(KEY.encode())),
    "upper case": KEY.upper(),
    "the second half": KEY[25:],
    "the first half": KEY[:36],
    "the last eight": f"a key that ends in {KEY[-8:]}",
    "a colour begins within": f"{KEY[:21]}\x1b[1m{KEY[21:]}\x1b[0m",
    "an escaped colour begins within": json.dumps(f"{KEY[:21]}\x1b[38;5;1m{KEY[21:]}"),
    "blanks that do not break": "&nbsp;".join((KEY[:21], KEY[21:40], KEY[40:])),
    "full width": "".join(chr(ord(letter) + 0xFEE0) for letter in KEY),
    "bold as in mathematics": "".join(
        chr(ord(letter) - ord("a") + 0x1D41A) if letter.islower() else letter for letter in KEY
    ),
    "base64 of base64": base64.b64encode(base64.b64encode(f"the key {KEY}!".encode())).decode(),
    "base64 of UTF-16": base64.b64encode(f"the key {KEY}!".encode("utf-16")).decode(),
    "base64 of UTF-16, the other way": base64.b64encode(f"the key {KEY}!".encode("utf-16-be")).decode(),
    "masked": f"sk-ant-...{KEY[-8:]}",
    "masked with stars": f"{'*' * 30}{KEY[-4:]}",
}
PASSWORD_WRITTEN = {
    "plain": PASSWORD,
    "url": ENVIRONMENT["DATABASE"],
    "json": json.dumps(PASSWORD),
    "repr": repr({"password": PASSWORD}),
    "html": html.escape(PASSWORD),
    "quoted": quote(PASSWORD, safe=""),
}


@pytest.mark.parametrize("way", WRITTEN)
def test_a_key_is_found_and_removed_however_it_is_written(way):
    """What refuses a cassette also cleans a message: no eight characters of the key are left in it."""
    text = f"before {WRITTEN[way]} after"
    assert "$.a: the value of ANTHROPIC_API_KEY" in redact.leaks({"a": text}, ENVIRONMENT)
    clean = redact.redact(text, ENVIRONMENT)
    assert clean.startswith("before ")
    assert clean.endswith(" after")
    assert list(redact.leaks(clean, ENVIRONMENT)) == []
    assert [KEY[i : i + 8] for i in range(13, len(KEY) - 7) if KEY[i : i + 8] in clean] == []
    assert redact.redact_json([text], ENVIRONMENT) == [clean]


@pytest.mark.parametrize("way", PASSWORD_WRITTEN)
def test_an_odd_password_of_a_url_is_found_and_removed(way):
    """Quotes, dollars, braces, stars and slashes are part of it, alone and in its URL."""
    text = f"before {PASSWORD_WRITTEN[way]} after"
    assert "$: the value of DATABASE" in redact.leaks(text, ENVIRONMENT)
    clean = redact.redact(text, ENVIRONMENT)
    assert PASSWORD_WRITTEN[way] not in clean
    assert list(redact.leaks(clean, ENVIRONMENT)) == []


@pytest.mark.parametrize("password", ["a'b9", "pa$$w0rdx", "{x}y7z", "*star*9", "a/b/c9", "q'$w{e*r/7"])
def test_an_odd_password_is_found_by_its_url_alone(password):
    """Without any environment; the rest of the URL can be read afterwards."""
    text = f"see postgres://app:{password}@db.internal:5432/x for more"
    assert list(redact.leaks(text, {})) == ["$: what looks like a password in a URL"]
    assert redact.redact(text, {}) == f"see postgres://app:{redact.SECRET}@db.internal:5432/x for more"


@pytest.mark.parametrize("cut", [10, 14, 20, 30])
@pytest.mark.parametrize("between", ["\n", "\r\n    ", '"\n    "', "\\n"])
def test_a_key_of_nobody_here_is_removed_with_its_second_line(cut, between):
    """A key known by its shape alone goes on in the next line; the words after it stay."""
    text = f"the key {KEY[:cut]}{between}{KEY[cut:]} opens\nnothing"
    clean = redact.redact(text, {})
    assert redact.SECRET in clean
    assert [KEY[i : i + 8] for i in range(13, len(KEY) - 7) if KEY[i : i + 8] in clean] == []
    assert clean.endswith("opens\nnothing")


def test_a_word_in_the_next_line_is_no_part_of_a_key():
    """What follows a key on a line of its own can be read."""
    assert (
        redact.redact(f"{KEY}\nimport os\nBecause it does", {})
        == f"{redact.SECRET}\nimport os\nBecause it does"
    )


@pytest.mark.parametrize(
    "name",
    [
        *(
            "GH_PAT",
            "GITHUB_PAT_2",
            "SENTRY_DSN",
            "AWS_CREDS",
            "DBCREDS",
            "SLACK_WEBHOOK",
            "TEAMS_WEBHOOK_URL",
        ),
        *("AZURE_CONNECTION_STRING", "CONNECTIONSTRINGS__MAIN", "MY_CONN_STR", "NPM_AUTH", "REDIS_AUTH"),
        *(
            "OTEL_EXPORTER_OTLP_HEADERS",
            "PGPASSWORD",
            "JWT_BASE",
            "DB_PWD",
            "SMTP_PW",
            "AZURE_SAS",
            "GPG_PRIVATE",
        ),
    ],
)
def test_todays_names_tell_of_a_secret(name):
    """As the value alone, and as what stands behind ``=`` in it."""
    for value in (RANDOM[:16], f"authorization=Bearer {RANDOM[:16]}", f"user:{RANDOM[:16]}"):
        assert list(redact.leaks(f"x {RANDOM[:16]} y", {name: value})) == [f"$: the value of {name}"]


def test_a_passphrase_of_words_is_a_secret():
    """What is the name of a class elsewhere is one where the variable says so."""
    assert redact.environment_secrets({"A_PASSPHRASE": "correct.horse.battery.staple"})


def test_a_connection_string_gives_away_its_password_alone():
    """Whatever the variable is called."""
    value = f"Server=db;User Id=app;Password={RANDOM[:14]};Encrypt=true"
    assert list(redact.leaks(RANDOM[:14], {"MAIN_DB": value})) == ["$: the value of MAIN_DB"]
    assert list(redact.leaks("Server=db;User Id=app", {"MAIN_DB": value})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("A_API_KEY", word) for word in ("not-needed", "dummy-token", "password", "sk-no-key-required")),
        *(("A_TOKEN", word) for word in ("lm-studio-key", "your-token-here", "xxxxxxxxxxxx", "sk-test-key")),
        *(
            ("A_SECRET", word)
            for word in ("changeme123", "placeholder", "unused-but-required", "sk-1234567890")
        ),
        ("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring"),
        ("AUTH_KEY_CLASS", "app.security.TokenAuthentication"),
        ("TOKEN_CHECKER", "app.security.TokenAuthentication"),
        ("GOOGLE_APPLICATION_CREDENTIALS", "/home/somebody/key.json"),
        ("MAX_TOKENS", "100000000"),
        ("TOKENIZERS_PARALLELISM", "disabled"),
        ("TOKEN_URL", "https://auth.internal/token"),
        ("KEYBOARD_LAYOUT", "us-international"),
        ("XKB_KEYMAP", "evdev-pc105"),
        ("OAUTH_SCOPES", "read write"),
        ("OAUTH_SCOPE", "repo:status"),
        ("API_KEY_HEADER", "X-Api-Key"),
        ("TOKEN_HEADER", "Authorization"),
        ("METRICS_DSN", "udp://localhost:8125/x"),
        ("BASH_FUNC_login%%", "() { password=${PASSWORD_OF_ALL}; sort --key=second_column; }"),
    ],
)
def test_placeholders_and_settings_of_variables_are_no_secrets(name, value):
    """A stand-in for a key, a flag, a number, a path or the name of a class refuses no recording."""
    assert redact.environment_secrets({name: value}) == {}


# A sample for each row of the table; the prefix apart, so that nobody takes this file for a leak.
SAMPLES = {
    "sk-proj-": RANDOM[:40],
    "sk-": RANDOM[:48],
    "gsk_": RANDOM[:52],
    "lsv2_pt_": HEX[:32] + "_" + HEX[:10],
    "r8_": RANDOM[:37],
    "wandb_v1_": RANDOM[:70],
    "fc-": HEX[:32],
    "sk_": HEX[:48],
    "AKIA": "IOSFODNN7QX2M4LA",
    "ABSK": RANDOM[:110],
    "ghp_": RANDOM[:36],
    "github_pat_": RANDOM[:82],
    "glpat-": RANDOM[:20],
    "IQoJb3JpZ2luX2Vj": RANDOM[:100],
    "AIza": RANDOM[:35],
    "AQ.Ab8": RANDOM[:47],
    "GOCSPX-": RANDOM[:28],
    "ya29.": RANDOM[:60],
    "hf_": RANDOM[:34],
    "xapp-": f"1-A1-2-{RANDOM[:32]}",
    "sk_test_": RANDOM[:24],
    "whsec_": RANDOM[:32],
    "sq0atp-": RANDOM[:22],
    "shpat_": HEX[:32],
    "npm_": RANDOM[:36],
    "pypi-AgE": "IcHlwaS5vcmc" + RANDOM[:60],
    "rubygems_": HEX[:48],
    "oy2": HEX[:43],
    "CLOJARS_": RANDOM[:60],
    "dckr_pat_": RANDOM[:27],
    "AKCp": RANDOM[:69],
    "ATATT3": RANDOM[:80],
    "abc7Q~": RANDOM[:34],
    "cfut_": RANDOM[:48],
    "v1.0-": f"{HEX[:24]}-{(HEX * 2)[:146]}",
    "dop_v1_": HEX[:64],
    "HRKU-": RANDOM[:60],
    "fo1_": RANDOM[:43],
    "sbp_": HEX[:40],
    "pscale_tkn_": RANDOM[:43],
    "dapi": HEX[:32],
    "dp.pt.": RANDOM[:43],
    "hvs.": RANDOM[:90],
    "AbCdEf12345678.atlasv1.": RANDOM[:60],
    "pul-": HEX[:40],
    "tskey-auth-": RANDOM[:30],
    "lin_api_": RANDOM[:40],
    "ntn_": RANDOM[:46],
    "figd_": RANDOM[:40],
    "patAbCdEf12345678.": HEX[:64],
    "pat-na1-": "4f1d0c9b-8a7e-6f5d-3c2b-1a09e8d7c6b5",
    "PMAK-": f"{HEX[:24]}-{HEX[:34]}",
    "CFPAT-": RANDOM[:43],
    "rdme_": HEX[:70],
    "pnu_": RANDOM[:36],
    "glc_": RANDOM[:60],
    "glsa_": f"{RANDOM[:32]}_{HEX[:8]}",
    "NRAK-": RANDOM[:27],
    "sntryu_": HEX[:64],
    "dt0c01.": f"{RANDOM[:24]}.{RANDOM[:64]}",
    "sgp_": HEX[:40],
    "SG.": f"{RANDOM[:22]}.{RANDOM[:43]}",
    "xkeysib-": f"{HEX[:64]}-{RANDOM[:16]}",
    "re_": f"{RANDOM[:8]}_{RANDOM[:24]}",
    f"{HEX[:32]}-us": "12",
    "SK": HEX[:32],
    "MTk4NjIyNDgzNDcxOTI1MjQ4.": f"Cl2FMQ.{RANDOM[:27]}",
    "EAAM": RANDOM[:100],
    "LTAI": RANDOM[:20],
    "A3-": "ABC123-DEF456-GHI78-JKL90-MNO12-PQR34",
    "ops_eyJ": RANDOM[:120],
    "EZAK": RANDOM[:54],
    "sha256~": RANDOM[:43],
    "AGE-SECRET-KEY-1": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2,
    "eyJ": RANDOM[:20] + ".eyJ" + RANDOM[:40],
}
NAMED = [
    f"aws_secret_access_key = {RANDOM[:40]}",
    f'"SecretAccessKey": "{RANDOM[:40]}"',
    f"AccountName=x;AccountKey={RANDOM[:86]}==;",
    f"https://x.blob.core.windows.net/c?sv=2022&sig={RANDOM[:43]}%3D",
    f"https://hooks.slack.com/services/T0123/B4567/{RANDOM[:24]}",
    f"https://discord.com/api/webhooks/123456789012345678/{RANDOM[:68]}",
    f"CLOUDFLARE_API_TOKEN={RANDOM[:20]}_{RANDOM[20:39]}",
    f'cloudflare.api_key: "{HEX[:37]}"',
    f"X-Auth-Key: {HEX[:37]}",
    "123456789" + f":AA{RANDOM[:33]}",
    f"AUTHORIZATION: BEARER {RANDOM[:40]}",
    f"Authorization: token {RANDOM[:40]}",
    f"authorization: 'ApiKey {RANDOM[:40]}'",
]


@pytest.mark.parametrize("begins", SAMPLES)
def test_every_kind_of_key_is_known_by_its_beginning(begins):
    """Found, named by one kind and removed; not without its beginning, nor within a word."""
    key = begins + SAMPLES[begins]
    assert len(list(redact.leaks(f"x {key} y", {}))) == 1
    assert redact.redact(f"x '{key}' y", {}) == f"x '{redact.SECRET}' y"


def test_no_row_of_the_table_is_without_a_sample():
    """Each pattern of the table is tried above."""
    import re

    patterns = [re.compile(f"(?:{begins})(?:{goes_on})") for _, begins, goes_on in KEYS]
    keys = [begins + rest for begins, rest in SAMPLES.items()]
    assert [pattern.pattern for pattern in patterns if not any(map(pattern.match, keys))] == []


@pytest.mark.parametrize("text", NAMED)
def test_a_key_is_known_by_what_stands_before_it(text):
    """A name, an address or a number before the secret."""
    assert len(list(redact.leaks(text, {}))) == 1
    assert RANDOM[:20] not in redact.redact(text, {})


JWT = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ"
)
HARMLESS_CLAIMS = [
    ("none", {"sub": "a-user-of-ours", "admin": True}),
    ("HS256", {"name": "Jane Doe", "iat": 1516239022}),
    ("HS256", {"sub": "test-user-1"}),
    ("HS512", {"iss": "https://auth.example.com", "aud": "x"}),
]


def web_token(algorithm, claims):
    """A JSON web token, with a signature of nobody unless there is none."""
    parts = [json.dumps(part).encode() for part in ({"typ": "JWT", "alg": algorithm}, claims)]
    coded = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts]
    return ".".join((*coded, "" if algorithm == "none" else RANDOM[:43]))


HARMLESS = [
    "def test_rnd_half_up_of_2_5_to_nearest_even(): pass",
    "test_fw_slash_paths_of_windows_3_parts",
    'MODEL = "jina_embeddings_v2_base_en"',
    "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    f"{JWT}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    f"Authorization: Bearer {JWT}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
    "http://user:secret123@example.com",
    "https://alice:wonderland@example.com/path?x=1",
    "https://user:p4ssw0rd@www.example.org:8080/",
    "http://john%40example.com:P%40SSWORD@localhost:3128",
    'environ["http_proxy"] = "http://a:b@localhost/"',
    "from .xai_model_settings_param import XaiModelSettingsParam",
    "the handle perplexity/pplx-decider-flash-latest",
    "oracle://scott:tiger@localhost:1521/xe",
    "postgresql://postgres:mysecretpassword@db:5432/app",
    "mysql://root:root@localhost/db",
    "http://user:pass:word@host",
    "redis://default:changeme@redis:6379/0",
    'if line == "-----BEGIN PRIVATE KEY-----":\n    return parse_the_key_that_follows(lines)',
    're.compile(r"-----BEGIN (?:RSA )?PRIVATE KEY-----(.*?)-----END (?:RSA )?PRIVATE KEY-----")',
    "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
    'A = "-----BEGIN PRIVATE KEY-----"; B = "-----END PRIVATE KEY-----"; read_the_lines_between()',
    "class Bearer TokenAuthenticationMiddleware",
    "the Bearer authentication/authorization scheme",
    "Authorization: Bearer YOUR_API_KEY_HERE",
    "Authorization: Basic authentication is used",
    "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
    "sk-ant-your-api-key-here",
    "sk-" + "x" * 40,
    "sk-1234567890abcdef1234567890abcdef",
    "ghp_" + "x" * 36,
    "ghp_1234567890abcdefghijklmnopqrstuvwxyz",
    "hf_HubDownloadAndCacheTheFileForMe",
    "sk-AbstractSingletonProxyFactoryBeanGenerator",
    "https://hooks.slack.com/services/T00000000/B00000000/" + "X" * 24,
    'f"postgresql://{user}:{quote_plus(password)}@{host}/{db}"',
    '"postgresql://" + user + ":" + password + "@" + host',
    '"https://{}:{}@{}".format(user, password, host)',
    "https://x-access-token:${GITHUB_TOKEN}@github.com/o/r.git",
    '"http://localhost:8080/path","me@example.org"',
    '{"a":"http://localhost:8080","b":"x@y.z"}',
    '{\\"a\\":\\"http://name:8080\\",\\"b\\":\\"x@y.z\\"}',
    "https://cdn.jsdelivr.net/npm/vue@3.2:1/x@y",
    "ssh://git@github.com:22/owner/repo.git",
    'api_key = "test-api-key-12345"',
    "AIzaSy" + "X" * 33,
    "AIza" + "Sy0" + "x" * 32,
    "sk_" + "test_1234567890abcdefghijklmn",
    "sk-proj-" + "a1b2c3d4e5f6g7h8i9j0k1l2",
    "sk_" + "live_abcdefghijklmnopqrstuvwx",
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;",
    "AccountKey=C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==;",
    "postgresql://user:pw@h/db",
    "http://user:p%40ss@host",
    "https://user:pa$$word@host.com/",
    "mongodb://myUserAdmin:abc123@localhost",
    *(web_token(*claims) for claims in HARMLESS_CLAIMS),
    "see https://host: the colon ends it @once",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_documentation_and_programs_say_is_recordable(text):
    """Example keys, passwords that everybody knows, a PEM header, a class name: alone and as JSON."""
    for written in (text, f"x {text} y", json.dumps(text), json.dumps({"a": json.dumps({"b": text})})):
        assert list(redact.leaks(written, {})) == []
        assert redact.redact(written, {}) == written


@pytest.mark.parametrize("secret", [KEY, f"postgres://app:{RANDOM[:12]}@db.internal/x"])
def test_a_secret_of_nobody_here_is_found_in_base64_and_hex(secret):
    """Only its shape gives it away, once decoded: in one line, in many, with words around it."""
    long = f"some words and then {secret}"
    for text in (
        base64.b64encode(secret.encode()).decode(),
        base64.urlsafe_b64encode(long.encode()).decode(),
        base64.encodebytes(f"{long} {'and more words ' * 9}".encode()).decode(),
        "\n".join(textwrap.wrap(base64.b64encode(secret.encode()).decode(), 24)),
        secret.encode().hex(),
        secret.encode().hex(":").upper(),
    ):
        for begins in ("data: ", "data=", "x.y/z.data="):
            assert len(list(redact.leaks(f"{begins}{text}\nand so on", {}))) == 1
            clean = redact.redact(f"{begins}{text}\nand so on", {})
            assert clean.startswith(f"{begins}{redact.SECRET}")
            assert clean.endswith("so on")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AUTH_HEADER", RANDOM[:20]),
        ("AUTH_HEADER", f"Bearer {RANDOM[:20]}"),
        ("MY_KEY", "us-international"),
    ],
)
def test_what_a_setting_is_not_is_still_a_secret(name, value):
    """The name of a header is none, a header is; only a keyboard's layout is a word."""
    assert value in redact.environment_secrets({name: value})


@pytest.mark.parametrize(
    "claims", [("HS256", {"sub": "4711", "name": "Ada"}), ("RS256", {"iss": "https://auth.example.com"})]
)
def test_a_web_token_of_somebody_is_found(claims):
    """One that says nothing of an example, or is signed by a private key."""
    assert list(redact.leaks(web_token(*claims), {})) == ["$: what looks like a JSON web token"]


PACKED = [
    base64.b64encode(base64.b64encode(f"the key {KEY}!".encode())).decode(),
    base64.b64encode(f"the key {KEY}!".encode("utf-16")).decode(),
    base64.b64encode(f"the key {KEY}!".encode("utf-16-be")).decode(),
    base64.b64encode(gzip.compress(f"the key {KEY}!".encode(), mtime=0)).decode(),
    base64.b64encode(gzip.compress(f"the key {KEY}!".encode(), mtime=0)).decode().rstrip("="),
    base64.b64encode(gzip.compress(f"the key {KEY}! ".encode() * 99, mtime=0)[:-12]).decode(),
]


@pytest.mark.parametrize("text", PACKED)
def test_a_key_of_nobody_here_is_found_in_what_is_packed_twice(text):
    """Base64 of base64, of UTF-16, and of gzip, whole or cut off."""
    assert redact.redact(f"x {text} y", {}).replace("=", "") == f"x {redact.SECRET} y"


def test_a_value_of_a_variable_is_found_in_gzip():
    """As a body that is no text stands in a cassette."""
    raw = gzip.compress(b"the word correct-Horse-battery-42 opens", mtime=0)
    text = f"x {base64.b64encode(raw).decode()} y"
    environment = {"A_PASSWORD": "correct-Horse-battery-42"}
    assert list(redact.leaks(text, environment)) == ["$: the value of A_PASSWORD"]
    assert redact.redact(text, environment) == f"x {redact.SECRET} y"
    assert list(redact.leaks(text, {})) == []


def test_a_key_is_found_in_utf_16():
    """Read as if it were of one byte for each letter."""
    text = f"the key {KEY} opens".encode("utf-16-le").decode("ascii")
    assert len(list(redact.leaks(text, {}))) == 1
    assert KEY not in redact.redact(text, {}).replace("\0", "")


@pytest.mark.parametrize("between", ["\n", "\r\n    ", '"\n    "', "\\n"])
def test_the_rest_of_an_aws_key_may_be_of_capitals_alone(between):
    """As if it were a word."""
    clean = redact.redact(f"the key AKIAQ2X7{between}IOSFODNNKPLM opens", {})
    assert clean == f"the key {redact.SECRET} opens"
    assert redact.redact("AKIA\nSELECT\nFROM", {}) == "AKIA\nSELECT\nFROM"


def test_a_real_key_beside_an_example_is_still_found():
    """The harmless does not cover for what stands next to it."""
    for text in HARMLESS:
        assert len(list(redact.leaks(f"{text}\n{KEY}", {}))) == 1


@pytest.mark.parametrize(
    "value", ["hunter2", "canary", "correct-horse-battery", RANDOM[:20], "9f8e7d6c5b4a", "1234"]
)
def test_what_nobody_writes_as_an_example_is_no_placeholder(value):
    """Only values that are made of words for placeholders are."""
    assert not is_placeholder(value)
    assert not is_class_name(value)


@pytest.mark.parametrize("key", [f"glpat-{RANDOM[:20]}", "AKIA" + "IQ3RSTUV7XYZ2ABC", f"npm_{RANDOM[:36]}"])
def test_the_last_letters_of_base64_belong_to_a_key(key):
    """A key of no more letters than it needs, whose base64 ends within a group of four."""
    coded = base64.b64encode(key.encode()).decode()
    for text in (coded, coded.rstrip("="), f"{coded} and so on"):
        assert list(redact.leaks(text, {})), text


# --- time -------------------------------------------------------------------------------------------

HOSTILE = [
    *(
        "eyJ-aaaaaaaaaaa",
        "eyJaaaaaaaaaaa.",
        "sk-ant-a",
        "pa-a",
        "M_",
        "LTAIa",
        "SG.aaa",
        "a://b:c",
        "a://",
        "aA",
    ),
    *(
        "\\\\n",
        "\\u0073",
        "%25",
        "\x1b[",
        "\x1b]",
        "\x00",
        "\uff21",
        "cloudflare-key",
        "AKIA\nAAAA\n",
        "H4sIAAAAAAAAAAAAAAAAAAAA ",
        f"{base64.b64encode(gzip.compress(bytes(400_000), mtime=0)).decode()} ",
        "&amp;",
        "**.",
        "...",
        "xX",
        "\n+",
        "a1B2\n",
        "-----BEGIN PRIVATE KEY-----\nA",
    ),
    *(
        "Bearer aaaa ",
        "authorization: basic ",
        "secret_access_key ",
        "hooks.slack.com/",
        "password",
        "a@b:c/",
        "${",
        "QUJD" * 19 + "\n",
        "A" * 20 + " " * 8,
    ),
]


def seconds(text):
    """CPU time of a scan."""
    import time

    began = time.process_time()
    list(redact.leaks(f"x@y {text}!", ENVIRONMENT))
    return time.process_time() - began


@pytest.mark.parametrize("piece", HOSTILE)
def test_ten_times_as_much_takes_ten_times_as_long(piece):
    """No pattern takes more than time in proportion, for texts of its own beginning.

    Once in five times is proof: a quadratic pattern never does.
    """
    few = 20_000 // len(piece)
    assert any(seconds(piece * few * 10) < 40 * max(seconds(piece * few), 0.002) for _ in range(5))


@pytest.mark.slow
def test_a_megabyte_is_read_in_seconds():
    """All of these texts, one after the other; a quadratic pattern would take minutes."""
    assert seconds("\n".join(piece * (1_000_000 // len(HOSTILE) // len(piece)) for piece in HOSTILE)) < 20
