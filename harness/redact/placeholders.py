"""Tell what only looks like a secret: words that stand in for one, documented examples, names of classes.

A recording that was paid for is not refused for them. Not covered: a text that is harmless for a reason that
only its author knows; the allow-list (``allowed.py``) is for those.
"""

from __future__ import annotations

import base64
import binascii
import re

# Words of which values are made that stand in for a secret, and of which documentation is made.
WORDS = frozenset(
    """
    a access admin administrator alias all an anonymous any anything api apikey app application as at auth
    authentication authenticator authorization authorized bar base based basic baz bearer bot but by change
    changeme class client config credential credentials custom database db debug default demo dev development
    disabled do docker dont dummy eggs empty enter example examples fake false field fill foo for format free
    from function generated guest handler header headers hello here host id ignore ignored in insert invalid
    irrelevant is it jwt key keyless keys lan letmein letta line llama lm local localhost login manager may me
    method middleware minioadmin mock model models mongo must my mysql na name needed needs never no nobody
    nokey none not nothing null oauth of ollama on only open opensesame or oracle our own pass passphrase
    passwd password passwordhere permission placeholder plain please postgres postgresql preview private prod
    provider proxy public put pw pwd quux qux rabbitmq random real redis ref remove replace required
    requires root run sample scheme scott secret secrets secure security sesame set should sk some something
    spam staging static strategy string strong stub studio super temp template test tester testing tests
    that the this tiger todo token tokens true type undefined unknown unset unused url use used user
    username users using validation validator vllm want was will with without wonderland word would your
    yours 0123456789 12345678 123456789 1234567890 abcdefghijklmnopqrstuvwxyz
    """.split()  # noqa: SIM905  (a list of 230 lines is no better to read)
)
# Passwords of documentation, as they are.
EXAMPLES = frozenset(
    (
        "abc123",
        "p@ss",
        "s3cret",
        "s3cr3t",
        "secretpw",
        "passw0rd",
        "p4ssw0rd",
        "pa55word",
        "pa$$word",
        "pa$$w0rd",
        "p@ssw0rd",
        "p@ssword",
        "p@$$w0rd",
        "yourstrong(!)password",
        # The keys of Azure's emulators of storage and of Cosmos DB, the same for everybody.
        "eby8vdm02xnocqflquwjpllmetlcdxj1ouzft50usrz6ifsufq2uvercz4i6tq/k1szfptotr/kbhbeksogmgw==",
        "c2y6ydjf5/r+ob0n8a7cgv30vrdjiwehlm+4qdu5de2nq9nduvtqobd4b8mggypmbiznqymsecagqy67xiw/jw==",
    )
)
MAX_DIGITS = 6
MAX_LENGTH = 120
_ANY_WORD = "|".join(sorted(map(re.escape, WORDS), key=len, reverse=True))
# Possessive: a value is read from left to right once, so that no value takes long.
OF_WORDS = re.compile(rf"(?:(?:{_ANY_WORD}|x{{3,}}|\d{{1,4}})[-_.:\s]*+)++", re.IGNORECASE)
MASK = re.compile(r"[xX]{8,}+|[0*._-]{8,}+")
A_WORD = re.compile(rf"{_ANY_WORD}|x{{3,}}", re.IGNORECASE)
# What a program or a person fills in: $NAME, ${name}, {name}, <name>, [name], %s, %(name)s, ***, ...
FILLED_IN = re.compile(
    r"\$\{[^{}]{0,60}\}|\$(?:[A-Z_][A-Z\d_]*|[a-z_]+)(?!\w)|\{{1,2}[^{}]{0,80}\}{1,2}|<[^<>]{0,60}>"
    r"|\[[^\[\]]{0,60}\]"
    r"|%\(\w{1,40}\)s|%[sdrv]|%[A-Z_]+%|\*{3,}|\.{3,}|…|•{2,}|#{3,}|_{3,}|-{3,}|[xX]{3,}"
)
CAMEL_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
DOTTED_NAME = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+){1,8}")
JWT_EXAMPLES = re.compile(  # jwt.io, RFC 7519, the first page of PyJWT's documentation, and tests
    rb'"name":"J(?:ohn|ane)Doe"|"http://example\.com/is_root":true|\{"some":"payload"\}'
    rb'|[@/.]example\.(?:com|org|net)\b|"(?:sub|name|user|username|iss)":"(?:test|example)[\w.-]*"'
)
EXAMPLE_HOST = re.compile(r"(?i)(?:[\w-]+\.)*(?:example(?:\.(?:com|net|org|edu))?|test|invalid)(?![\w-])")


def is_placeholder(value: str) -> bool:
    """Return True if a value says that it is no secret: ``password``, ``your-key-here``, ``xxxx``."""
    value = value.strip()
    if len(set(value.upper())) <= 1 or set(value) <= set("xX0*.-_"):
        return value[:1].upper() in ("", "X", "0", "*", ".", "-", "_")
    if value.lower() in EXAMPLES:
        return True
    if len(value) > MAX_LENGTH or not OF_WORDS.fullmatch(value):
        return False
    digits = sum(letter.isdigit() for letter in A_WORD.sub("", value))
    return digits <= MAX_DIGITS and A_WORD.search(value) is not None


def is_made_up(value: str) -> bool:
    """Return True if a text that looks like a key is none: a placeholder, a sequence, masked.

    Not for the value of a variable, which somebody has set.
    """
    return is_placeholder(value) or _is_in_order(value) or _is_masked(value)


def _is_in_order(value: str) -> bool:
    """Tell digits and letters in their order, also in turns: ``12345678abcd``, ``a1b2c3d4e5f6``."""
    codes = [
        int(letter, 36) if letter.isascii() and letter.isalnum() else -9 for letter in value[: MAX_LENGTH + 1]
    ]
    follows = sum(
        code - 1 in codes[max(0, at - 2) : at] or (code == 0 and codes[at - 1] == 9)
        for at, code in enumerate(codes)
    )
    return 12 <= len(codes) <= MAX_LENGTH and follows >= 0.85 * (len(codes) - 1)


def _is_masked(value: str) -> bool:
    """Return True if one letter that masks is most of a value, again and again: ``Sy`` and 33 times ``X``."""
    masked = max((len(mask[0]) for mask in MASK.finditer(value)), default=0)
    return 4 * masked >= 3 * len(value)


def is_filled_in(value: str) -> bool:
    """Return True if a program or a person fills the value in, or it is a placeholder: ``{password}``."""
    rest = FILLED_IN.sub("", value[:400])
    return rest != value[:400] and (not re.search(r"[^\W_]", rest) or is_placeholder(rest))


def is_class_name(value: str) -> bool:
    """Return True for names as programs have them: ``TokenAuthentication``, ``keyring.backends.Null``.

    Random letters change their case far more often than words do.
    """
    if len(value) > MAX_LENGTH or ("." in value and not DOTTED_NAME.fullmatch(value)):
        return False
    last = value.rpartition(".")[2]
    words = CAMEL_WORD.findall(last)
    if "." in value and value.count(".") >= 2 and last.islower():
        return all(len(word) <= 16 for word in value.split("."))
    if not last.isalpha() or not last.isascii() or len(words) < 2:
        return False
    capitals = sum(letter.isupper() for letter in last)
    return 3 * capitals <= len(last) and all(2 <= len(word) <= 16 for word in words)


def is_example_jwt(token: str) -> bool:
    """Return True for a web token without a signature, or one of documentation, known by what it claims."""
    head, claims = (decoded(part).replace(b" ", b"") for part in token.split(".")[:2])
    return b'"alg":"none"' in head or (b'"alg":"HS' in head and JWT_EXAMPLES.search(claims) is not None)


def decoded(coded: str) -> bytes:
    """Return what a base64 text holds, in either alphabet, padded or not; nothing if it is none."""
    plain = coded.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""
