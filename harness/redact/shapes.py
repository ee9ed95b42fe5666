"""Find what looks like a secret, whoever it belongs to: keys by their beginning, passwords by their place.

The beginnings are those of the providers' documentation; which there are was compared with the rules of
gitleaks 8 (July 2026). They are a table of their own, neither a copy nor a dependency: half of those rules
ask for a name beside any text, which would refuse ordinary code; detect-secrets has had no release since
2024, imports requests, and knows few keys of today's model providers. Each pattern takes time in proportion
to the text.

Not covered: keys without a telling beginning (hex or base64 alone).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache
from urllib.parse import unquote

from harness.redact.placeholders import (
    EXAMPLE_HOST,
    decoded,
    is_class_name,
    is_example_jwt,
    is_filled_in,
    is_made_up,
)
from harness.redact.views import AROUND_LINES

Match = tuple[int, int, str]  # from where, to where, what it looks like

HEX = "[0-9a-fA-F]"
UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# Kind, how it begins, how it goes on. None may begin within a word.
KEYS = (
    ("an API key", r"sk-(?:ant|proj|let|svcacct|admin|or|lf|cp|helicone)-", r"[\w-]{8,}"),
    ("an API key", r"sk-(?:None-)?", r"[A-Za-z0-9]{32,}"),
    (
        "an API key",
        r"(?:(?:xai|csk|pplx|nvapi|tvly)-(?:dev-)?|(?:gsk|jina|pcsk|ragie)_)",
        r"(?:(?=[\w-]{0,60}\d)[\w-]{20,}|[A-Za-z0-9]{32,})",
    ),
    ("an API key", r"(?:(?:lsv2_(?:pt|sk)|tgp_v1|e2b|fw|rpa|voy)_|pa-)", r"(?=[\w-]{0,60}\d)[\w-]{20,}"),
    ("an API key", r"wandb_v1_", r"(?=\w{0,60}\d)\w{30,}"),
    ("an API key", r"r8_", r"(?=\w{0,60}\d)[A-Za-z0-9]{32,}"),
    ("an API key", r"(?:key|fc|ico)-", r"[0-9a-f]{32}(?![\w-])|(?<=ico-)[A-Za-z0-9]{32}(?![\w-])"),
    ("an API key", r"sk_", r"[0-9a-f]{48}(?!\w)"),
    ("an AWS key", r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])", r"[A-Z0-9]{16}(?!\w)"),
    ("an AWS key", r"(?:ABSK|bedrock-api-key-)", r"[A-Za-z0-9+/]{40,}"),
    ("a GitHub token", r"gh[pousr]_", r"[A-Za-z0-9]{20,}"),
    ("a GitHub token", r"github_pat_", r"\w{20,}"),
    ("a GitLab token", r"gl(?:pat|ptt|rt|dt|ft|soat|cbt|agent|oas|imt|ffct)-", r"[\w-]{20,}"),
    ("an AWS key", r"IQoJb3JpZ2luX2Vj", r"[A-Za-z0-9+/]{60,}"),
    ("a Google key", r"AIza", r"[\w-]{35}"),
    ("a Google key", r"AQ\.Ab8", r"(?=[\w-]{0,60}\d)[\w-]{30,}"),
    ("a Google key", r"GOCSPX-", r"[\w-]{24,}"),
    ("a Google key", r"ya29\.", r"[\w-]{30,}"),
    ("a Hugging Face token", r"(?:hf|api_org)_", r"[A-Za-z0-9]{30,}"),
    ("a Slack token", r"x(?:ox[abceoprs](?:\.xox[bp])?|app)-", r"[A-Za-z0-9-]{10,}"),
    ("a Stripe key", r"[rs]k_(?:live|test|prod)_", r"[A-Za-z0-9]{16,}"),
    ("a Stripe key", r"whsec_", r"[A-Za-z0-9+/]{24,}"),
    ("a Square token", r"sq0(?:atp|csp)-", r"[\w-]{22,}"),
    ("a Shopify token", r"shp(?:at|ca|pa|ss)_", rf"{HEX}{{32}}"),
    ("a package registry's token", r"npm_", r"[A-Za-z0-9]{36}"),
    ("a package registry's token", r"pypi-AgE", r"[\w-]{20,}"),
    ("a package registry's token", r"rubygems_", rf"{HEX}{{48}}"),
    ("a package registry's token", r"oy2", r"[a-z0-9]{43}(?!\w)"),
    ("a package registry's token", r"CLOJARS_", r"[A-Za-z0-9]{60}"),
    ("a Docker token", r"dckr_[po]at_", r"[\w-]{20,}"),
    ("an Artifactory token", r"(?:AKCp|cmVmd)", r"[A-Za-z0-9]{59,}"),
    ("an Atlassian token", r"AT(?:ATT3|CTT3|BB)", r"(?=[\w=-]{0,60}\d)[\w=-]{20,}"),
    ("an Azure secret", r"[\w~.]{3}\dQ~", r"[\w~.-]{31,34}"),
    ("a Cloudflare key", r"cf(?:k|ut|at)_", r"[\w-]{40,}"),
    ("a Cloudflare key", r"v1\.0-", rf"{HEX}{{24}}-{HEX}{{100,}}"),
    ("a DigitalOcean token", r"do[opr]_v1_", rf"{HEX}{{64}}"),
    ("a Heroku key", r"HRKU-", r"[\w-]{36,}"),
    ("a Fly.io token", r"f(?:o1|m1[ar]|m2)_", r"[\w+/-]{40,}"),
    ("a hosting provider's token", r"(?:nfp|vcp|rnd|napi|sbp|sb_secret)_", r"(?=\w{0,60}\d)\w{28,}"),
    ("a database token", r"pscale_(?:tkn|oauth|pw)_", r"[\w=.-]{30,}"),
    ("a Databricks token", r"dapi", rf"{HEX}{{32}}"),
    ("a Doppler token", r"dp\.(?:pt|st|sa|ct|scim|audit)\.", r"[A-Za-z0-9.]{40,}"),
    ("a Vault token", r"hv[bsr]\.", r"[\w-]{24,}"),
    ("a Terraform token", r"[A-Za-z0-9]{14}\.atlasv1\.", r"[\w=-]{40,}"),
    ("a Pulumi token", r"pul-", rf"{HEX}{{40}}"),
    ("a Tailscale key", r"tskey-[a-z]{3,10}-", r"[\w-]{16,}"),
    ("a Linear key", r"lin_(?:api|oauth)_", r"[A-Za-z0-9]{32,}"),
    ("a Notion token", r"ntn_", r"[A-Za-z0-9]{40,}"),
    ("a Figma token", r"figd_", r"[\w-]{36,}"),
    ("an Airtable token", r"pat[A-Za-z0-9]{14}\.", rf"{HEX}{{64}}"),
    ("a HubSpot token", r"pat-(?:na|eu)\d-", UUID),
    ("a Postman key", r"PMAK-", rf"{HEX}{{24}}-{HEX}{{34}}"),
    ("a Contentful token", r"CFPAT-", r"[\w-]{40,}"),
    ("a ReadMe token", r"rdme_", r"[a-z0-9]{60,}"),
    ("a Prefect token", r"pn[ub]_", r"[A-Za-z0-9]{36}"),
    ("a Grafana token", r"(?:glc_|eyJrIjoi)", r"[A-Za-z0-9+/]{32,}"),
    ("a Grafana token", r"glsa_", rf"[A-Za-z0-9]{{32}}_{HEX}{{8}}"),
    ("a New Relic key", r"NR(?:AK|II|JS)-", r"[A-Za-z0-9]{19,}"),
    ("a Sentry token", r"sntry[su]_", r"[\w+/=]{40,}"),
    ("a Dynatrace token", r"dt0[a-z]\d\d\.", r"[A-Za-z0-9]{24}\.[A-Za-z0-9]{40,}"),
    ("a Sourcegraph token", r"sgp_(?:[0-9a-f]{16}_|local_)?", rf"{HEX}{{40}}"),
    ("a SendGrid key", r"SG\.", r"[\w-]{16,32}\.[\w-]{30,}"),
    ("a mail service's key", r"xkeysib-", rf"{HEX}{{64}}(?:-\w{{16}})?"),
    ("a mail service's key", r"re_", r"(?=\w{0,60}\d)[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}"),
    ("a mail service's key", rf"{HEX}{{32}}-us", r"\d{1,2}(?!\w)"),
    ("a Twilio key", r"SK", r"[0-9a-f]{32}(?!\w)"),
    ("a Discord token", r"[MNO][\w-]{23,27}\.", r"[\w-]{6}\.[\w-]{27,}"),
    ("a Facebook token", r"EAA[A-Z]", r"(?=\w{0,60}\d)[A-Za-z0-9]{60,}"),
    ("an Alibaba key", r"LTAI", r"(?=\w{0,60}\d)[A-Za-z0-9]{16,}(?![\w-])"),
    ("a 1Password key", r"A3-", r"[A-Z0-9]{6}-[A-Z0-9-]{26,30}"),
    ("a 1Password key", r"ops_eyJ", r"[A-Za-z0-9+/]{60,}"),
    ("a payment key", r"(?:EZ[AT]K|FLWSECK(?:_TEST)?-|(?:shippo|duffel)_[a-z]{4}_)", r"[\w-]{32,}"),
    ("an OpenShift token", r"sha256~", r"[\w-]{43}(?![\w-])"),
    ("an age key", r"AGE-SECRET-KEY-1", r"[A-Z0-9]{50,}"),
    ("a JSON web token", r"(?<![\w-])eyJ[\w-]{10,}+\.", r"eyJ[\w-]{10,}+(?:\.[\w-]+)?"),
)  # fmt: skip
# A name of words and numbers, as functions have: of four parts at least, and no part of a key is so short.
SNAKE_CASE = re.compile(r"(?:(?:[a-z]{1,12}\d{0,2}|\d{1,4})_){3,}(?:[a-z]{1,12}\d{0,2}|\d{1,4})")
# Only words that may be keys are looked at closely: of twelve letters and more, which prose has few of.
LONG_WORD = re.compile(r"[A-Za-z0-9_.~+/=-]{12,}+")
# The empty group between a key's two parts tells which row it is; a row that starts with a letter is passed
# over fast.
KEY = re.compile(
    "(?<![A-Za-z0-9])(?=[A-Za-z0-9])(?:"
    + "|".join(f"{begins}()(?:{goes_on})" for _, begins, goes_on in KEYS)
    + ")"
)
LETTERS = "A-Za-z0-9_.~+/=-"
# The rest of such a key may be of capitals alone, as a word is.
AWS_BEGUN = re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{0,15}$")
NEXT_LINE = re.compile(rf"\n[{re.escape(AROUND_LINES)}]*+([{LETTERS}]{{4,}}+)")
TAIL = re.compile(f"[{LETTERS}]+$")
MAX_TAIL = 300
ADDRESS = re.compile("://")
SCHEME = re.compile(r"[A-Za-z][A-Za-z\d+.-]{1,20}$")
USER = re.compile(r"""([^\s/:@"'`<>\\{}\[]{0,200}+):""")
END_OF_AUTHORITY = re.compile(r"""[\s/?#"'`<>,;)\]}\\]""")
A_PORT = re.compile(r"\d{1,5}(?![\w@.~!$&*+=%-])")
# Where a string of a program ends in it, it is no password: ``"://host:" + name + "@"``.
END_OF_STRING = re.compile(r"""^\\*["'`]|["'`]\\*\s*[,:;)\]}+&.]|[,(\[{+=]\\*["'`]|\\*["'`]$""")
WEB = frozenset({"http", "https", "ftp", "ws", "wss"})
MAX_PASSWORD = 200

BEARER = re.compile(r"\b(?:[Bb]earer|BEARER)\s{1,8}([\w.~+/-]{16,}+=*)")
SCHEME_OF_KEYS = re.compile(r"(?i)authorization\W{1,9}(?:token|api-?key)\s{1,8}([\w.~+/-]{16,}+=*)")
BASIC = re.compile(r"(?i)authorization\W{1,9}basic\s{1,8}([a-z\d+/_-]{8,}+={0,2})")
# Kind, pattern, and what stands in each match and is quick to look for.
NAMED = (
    (
        "an access key",
        re.compile(
            r"(?i)(?:secret_?access_?key|aws_?secret_?key)\W{1,8}([a-z\d/+]{40})(?![\w/+=])"
            r"|(?:account_?key|shared_?access_?key)=([a-z\d/+]{40,}+={0,2})"
            r"|[?&](?:sig|x-amz-signature|x-amz-security-token)=([\w%/+-]{32,}+={0,2})"
        ),
        ("ccess", "CCESS", "ccountK", "ccount_", "aws_s", "AWS_S", "ig=", "ature=", "oken="),
    ),
    (
        "a webhook",
        re.compile(
            r"(?i)hooks\.slack\.com/(?:services|workflows|triggers)/([\w+/-]{20,}+)"
            r"|discord(?:app)?\.com/api/webhooks/\d{8,20}/([\w-]{20,}+)"
            r"|webhook\.office\.com/webhookb2/([\w@/-]{60,}+)"
        ),
        ("hook", "HOOK"),
    ),
    (
        "a Cloudflare key",
        re.compile(
            r"(?i)cloudflare[\w.-]{0,40}(?:token|key)\W{1,8}(?=[\w-]{0,39}\d)([\w-]{37,40})(?![\w-])"
            r"|x-auth-key\W{1,8}([0-9a-f]{37})(?!\w)"
        ),
        ("loudflare", "LOUDFLARE", "uth-", "UTH-"),
    ),
    ("a Telegram token", re.compile(r"(?<!\w)\d{8,10}:AA[\w-]{33}(?![\w-])"), (":AA",)),
)
PEM = re.compile(r"-----BEGIN (?:[A-Z\d]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
# What may stand between the first line and the key: quotes, signs, headers (``Proc-Type: 4,ENCRYPTED``).
PEM_START = re.compile(r"[^A-Za-z\d]{0,40}(?:[A-Z][A-Za-z-]{3,20}: [^\n]{0,120}\n[^A-Za-z\d]{0,40}){0,5}")
PEM_LINE = re.compile(r"(?<![\w+/=])[A-Za-z0-9+/=]{16,}+")
# Lines of base64, and a shorter last one; bytes in hex, with or without something between them.
BASE64 = re.compile(
    r"([A-Za-z0-9+/_-]{20,}+(?:\s{1,8}[A-Za-z0-9+/_-]{20,}+)*+)(?:\s{1,8}[A-Za-z0-9+/_-]{1,80}+)?={0,2}"
)
LINE_OF_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{20,}+")
HEXED = re.compile(r"[0-9a-fA-F](?<![0-9A-Za-z].)[0-9a-fA-F](?:[:\s-]?[0-9a-fA-F]{2}){15,}+", re.DOTALL)
GZIP = re.compile(r"H4sI[A-Za-z0-9+/_-]{20,}+={0,2}")
MIN_CODED = 20
MAX_RATIO = 20  # of what gzip has packed to its bytes: a text of bombs takes time in proportion, too
MAX_PEM = 16_000
MIN_PEM = 32  # letters of base64: less is no key, but a parser's example


def keys(text: str) -> Iterator[Match]:
    """Yield keys that are known by how they begin."""
    for match in LONG_WORD.finditer(text):
        word = match[0]
        for start, end, kind in _remembered(word) if len(word) <= MAX_TAIL else _keys_of_word(word):
            yield match.start() + start, match.start() + end, kind


@lru_cache(maxsize=4096)  # programs say most of their long words more than once
def _remembered(word: str) -> list[Match]:
    return _keys_of_word(word)


def _keys_of_word(word: str) -> list[Match]:
    found = []
    for match in KEY.finditer(word):
        group = match.lastindex or 1
        kind, begins = KEYS[group - 1][0], match.end(group)
        if not _is_harmless(kind, match[0], word[begins : match.end()]):
            found.append((*match.span(), kind))
    return found


def _is_harmless(kind: str, key: str, rest: str) -> bool:
    if kind == "a JSON web token":
        return is_example_jwt(key)
    words = SNAKE_CASE.fullmatch(rest)
    return bool(words) or rest.upper().endswith("EXAMPLE") or is_made_up(rest) or is_class_name(rest)


def url_passwords(text: str) -> Iterator[Match]:
    """Yield the passwords of URLs, up to the last @ before the host."""
    for address in ADDRESS.finditer(text) if "@" in text else ():
        start = address.start()
        scheme, user = SCHEME.search(text[max(0, start - 21) : start]), USER.match(text, start + 3)
        if not scheme or not user:
            continue
        begin = user.end()
        until = text.find("://", begin, begin + MAX_PASSWORD)
        window = text[begin : until if until > 0 else begin + MAX_PASSWORD].split(None, 1)[:1]
        password, at, rest = window[0].partition("@") if window else ("", "", "")
        if not at or text[begin].isspace():
            continue
        authority = END_OF_AUTHORITY.split(rest, maxsplit=1)[0]
        more, another, _ = authority.rpartition("@")
        password += f"@{more}" if another else ""
        host = rest[len(more) + 1 if another else 0 :]
        if re.match(r"[\w\[%]", host) and not _is_no_password(scheme[0].lower(), user[1], password, host):
            yield begin, begin + len(password), "a password in a URL"


def _is_no_password(scheme: str, user: str, password: str, host: str) -> bool:
    password = unquote(password)
    if len(password) < 2 or A_PORT.match(password) or is_filled_in(password) or is_made_up(password):
        return True
    if END_OF_STRING.search(password) or (password.lower() == user.lower() and password.isalpha()):
        return True
    return (scheme in WEB and EXAMPLE_HOST.match(host) is not None) or re.fullmatch(
        r"x+|\?+", password
    ) is not None


def headers(text: str) -> Iterator[Match]:
    """Yield what an authorization header carries."""
    found = [*BEARER.finditer(text)] if "earer" in text or "EARER" in text else []
    found += SCHEME_OF_KEYS.finditer(text) if "uthorization" in text or "UTHORIZATION" in text else []
    for match in found:
        token = match[1]
        if token.startswith("eyJ") and token.count(".") >= 1 and is_example_jwt(token):
            continue
        if not (is_made_up(token.replace("/", "-")) or is_class_name(token.rstrip("."))):
            yield *match.span(1), "a bearer token"
    for match in BASIC.finditer(text) if "asic" in text or "ASIC" in text else ():
        user, colon, password = decoded(match[1]).decode("utf-8", "replace").partition(":")
        if colon and f"{user}{password}".isprintable() and not is_made_up(password):
            yield *match.span(1), "a basic authorization"


def named(text: str) -> Iterator[Match]:
    """Yield keys that are known by the name or address that stands before them."""
    for kind, pattern, hints in NAMED:
        for match in pattern.finditer(text) if any(hint in text for hint in hints) else ():
            start, end = match.span(match.lastindex or 0)
            key = text[start:end]
            example = key.upper().endswith("EXAMPLEKEY") or is_made_up(key)
            if not example and not is_made_up(key.rpartition("/")[2]):
                yield start, end, kind


def private_keys(text: str) -> Iterator[Match]:
    """Yield private keys with the lines that follow, which are the key; a first line alone is none."""
    for match in PEM.finditer(text) if "PRIVATE KEY" in text else ():
        limit = match.end() + MAX_PEM
        ends = [at for at in (text.find("-----BEGIN", match.end(), limit),) if at > 0]
        body = text[match.end() : min([*ends, limit])]
        closing = re.search(r"-----END (?:[A-Z\d]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----", body)
        body = body[: closing.start()] if closing else body
        start = PEM_START.match(body)
        if not start or not PEM_LINE.match(body, start.end()):
            continue
        lines = [*PEM_LINE.finditer(body)]
        if sum(len(line[0]) for line in lines) >= MIN_PEM:
            end = closing.end() if closing else _end_of_key(body, lines)
            yield match.start(), match.end() + end, "a private key"


def _end_of_key(body: str, lines: list[re.Match[str]]) -> int:
    """Return the end of a key that is cut off: the short last line belongs to it."""
    tail = re.compile(r"[\w+/=\\]*").match(body, lines[-1].end())
    return tail.end() if tail else lines[-1].end()


def across_lines(text: str) -> Iterator[Match]:
    """Yield keys that go on in the next line, up to the last line that looks like a part of one."""
    parts: list[tuple[int, int]] = []
    for line in NEXT_LINE.finditer(text) if "\n" in text else ():
        if not _goes_on(line[1]) and not (line[1].isupper() and _is_aws(text, line.start())):
            continue
        if not parts or text[parts[-1][1] : line.start()].strip(AROUND_LINES):
            yield from _keys_of_parts(text, parts)
            before = text[max(0, line.start() - MAX_TAIL) : line.start()].rstrip(AROUND_LINES)
            tail, ends = TAIL.search(before), max(0, line.start() - MAX_TAIL) + len(before)
            parts = [(ends - len(tail[0]), ends)] if tail else []
        parts.append(line.span(1))
    yield from _keys_of_parts(text, parts)


def _keys_of_parts(text: str, parts: list[tuple[int, int]]) -> Iterator[Match]:
    """Yield the keys that stand in more than one of these parts of a text."""
    word = "".join(text[start:end] for start, end in parts)
    places = [at for start, end in parts for at in range(start, end)]
    for start, end, kind in _keys_of_word(word):
        if places[end - 1] - places[start] > end - 1 - start:
            yield places[start], places[end - 1] + 1, kind


def _is_aws(text: str, end: int) -> bool:
    """Return True if what stands before the end of a line may be the beginning of an AWS key."""
    return AWS_BEGUN.search(text[max(0, end - 40) : end].rstrip(AROUND_LINES)) is not None


def _goes_on(part: str) -> bool:
    """Return True if a line can be the rest of a key rather than a word."""
    if len(part) < 4 or (part.islower() and part.isalpha()):
        return False
    has_digit, has_letter = re.search(r"\d", part), re.search(r"[A-Za-z]", part)
    return bool((has_digit and has_letter) or re.search(r"[a-z][A-Z]{2}|[A-Z][a-z][A-Z]", part))


def coded(text: str, *, again: bool = True) -> Iterator[Match]:
    """Yield what any of the others finds in base64 or hex, in one line or in many; in there ``again``."""
    done = 0
    for word in LONG_WORD.finditer(text):
        line = LINE_OF_BASE64.search(text, word.start(), word.end()) if len(word[0]) >= MIN_CODED else None
        if not line or line.start() < done:
            continue  # before the match: from each line it would read all that follow
        match = BASE64.match(text, line.start())
        if not match:
            continue
        done = match.end(1)
        letters = "".join(match[1].split())
        whole = decoded("".join(match[0].split()))
        readings = (decoded(letters), decoded(letters[: len(letters) // 4 * 4]))
        if kind := next(filter(None, (_kind_within(raw, again) for raw in readings)), ""):
            yield match.start(), match.end() if whole and whole.isascii() else match.end(1), kind
    for match in HEXED.finditer(text):
        digits = re.sub(r"[:\s-]", "", match[0])
        if kind := _kind_within(bytes.fromhex(digits), again):
            yield *match.span(), kind


def _unpacked(raw: bytes) -> bytes:
    """Return what gzip has packed, as far as it goes; bytes of anything else as they are."""
    if raw.startswith(b"\x1f\x8b"):
        with suppress(zlib.error):
            return zlib.decompressobj(wbits=31).decompress(raw, MAX_RATIO * len(raw))
    return raw


def packed(text: str) -> Iterator[Match]:
    """Yield the texts that stand in gzip in base64: from where, to where, the text."""
    for match in GZIP.finditer(text) if "H4sI" in text else ():
        letters = match[0].rstrip("=")
        raw = decoded(letters) or decoded(letters[: len(letters) // 4 * 4])
        yield *match.span(), _unpacked(raw).decode("utf-8", "replace")


def _kind_within(raw: bytes, again: bool) -> str:
    """Return the kind of a secret in bytes that are text, packed or not; an empty text if there is none."""
    raw = _unpacked(raw)
    raw = raw.removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff").replace(b"\0", b"")  # UTF-16
    if not raw or not raw.isascii():
        return ""
    text = raw.decode("ascii")
    found = (kind for shape in SHAPES if shape is not coded for _, _, kind in shape(text))
    return next(found, "") or (next((kind for *_, kind in coded(text, again=False)), "") if again else "")


SHAPES: tuple[Callable[[str], Iterator[Match]], ...] = (
    keys,
    across_lines,
    url_passwords,
    headers,
    named,
    private_keys,
    coded,
)


def shapes(text: str) -> Iterator[Match]:
    """Yield all that looks like a secret in a text."""
    for shape in SHAPES:
        yield from shape(text)
