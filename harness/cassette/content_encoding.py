"""Decode what an endpoint compressed, or encoded otherwise than as UTF-8, before anything reads it.

Covered is what the SDKs' HTTP libraries ask for: gzip and deflate always, br and zstd where the packages that
they need are installed. What comes out is bounded, and a body that is not what its label says is an error: an
SDK would retry it, as if nobody had answered.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

MAX_ANSWER = 16_000_000  # bytes: what a whole cassette may hold
GZIP, ZLIB, RAW = zlib.MAX_WBITS | 16, zlib.MAX_WBITS, -zlib.MAX_WBITS


class Undecodable(BaseException):
    """A body that cannot be decoded; the text says why.

    Not an ``Exception``: SDKs retry those and wrap them into a vague "Connection error".
    """


def decode(raw: bytes, encodings: str) -> bytes:
    """Return a body without the encodings that its ``content-encoding`` names, the last one removed first.

    Raises:
        Undecodable: It is not so encoded, ends early, or unfolds to more than ``MAX_ANSWER`` bytes.
    """
    names = [name for name in (each.strip().lower() for each in encodings.split(",")) if name]
    for name in reversed(names if raw else []):
        if name != "identity":
            raw = _decode(raw, name)
    return raw


def _decode(raw: bytes, name: str) -> bytes:
    decoder = DECODERS.get(name)
    if decoder is None:
        raise Undecodable(f"its content-encoding is {name[:40]!r}, which nobody asked for")
    try:
        decoded, complete = decoder(raw)
    except Undecodable:
        raise
    except Exception as error:  # noqa: BLE001  (each library has errors of its own)
        what = " ".join(str(error).split())[:100]
        raise Undecodable(f"its content-encoding is {name}, and its body is not ({what})") from None
    if len(decoded) > MAX_ANSWER:
        raise Undecodable(f"its {name} body unfolds to more than {MAX_ANSWER} bytes")
    if not complete:
        raise Undecodable(f"its {name} body ends early, after {len(decoded)} bytes of text")
    return decoded


Decoded = tuple[bytes, bool]  # at most one byte over the limit; True if the end was reached


def _inflate(raw: bytes, window: int) -> Decoded:
    inflater = zlib.decompressobj(window)
    return inflater.decompress(raw, MAX_ANSWER + 1), inflater.eof


def _deflate(raw: bytes) -> Decoded:
    try:
        return _inflate(raw, ZLIB)
    except zlib.error:  # some servers leave out zlib's frame, and clients take it
        return _inflate(raw, RAW)


def _brotli(raw: bytes) -> Decoded:
    library = _first_installed("br", "brotli", "brotlicffi")
    decoder, parts, size = library.Decompressor(), [], 0
    step = getattr(decoder, "process", None) or decoder.decompress
    part = step(raw, output_buffer_limit=MAX_ANSWER)
    while part and size <= MAX_ANSWER:
        parts.append(part)
        size += len(part)
        part = step(b"", output_buffer_limit=MAX_ANSWER)
    return b"".join(parts), decoder.is_finished()


def _zstd(raw: bytes) -> Decoded:
    library = _first_installed("zstd", "compression.zstd", "backports.zstd", "zstandard")
    is_limited, decoded = library.__name__ != "zstandard", bytearray()
    while True:  # one frame behind the other
        decoder = library.ZstdDecompressor() if is_limited else library.ZstdDecompressor().decompressobj()
        if is_limited:
            decoded += decoder.decompress(raw, MAX_ANSWER + 1 - len(decoded))
            raw = decoder.unused_data
        else:  # without a limit of its own: so few bytes at a time unfold to 8 million at most
            start = 0
            while start < len(raw) and not decoder.eof and len(decoded) <= MAX_ANSWER:
                decoded += decoder.decompress(raw[start : start + 256])
                start += 256
            raw = decoder.unused_data + raw[start:]
        if not raw or not decoder.eof or len(decoded) > MAX_ANSWER:
            return bytes(decoded), decoder.eof


def _first_installed(name: str, *modules: str) -> Any:
    for module in modules:
        try:
            return import_module(module)
        except ImportError:
            continue
    raise Undecodable(f"its content-encoding is {name}, which nobody asked for")


DECODERS: dict[str, Callable[[bytes], Decoded]] = {
    "gzip": lambda raw: _inflate(raw, GZIP),
    "deflate": _deflate,
    "br": _brotli,
    "zstd": _zstd,
}


def as_utf8(raw: bytes) -> bytes:
    """Return a body of JSON as SDKs read it, in plain UTF-8: without byte order mark and blanks around it.

    Whatever is no JSON object or list is returned as it is.
    """
    if raw[:1] in (b"{", b"[") and raw[1:2] != b"\0":
        return raw
    try:
        text = raw.decode(json.detect_encoding(raw)).strip()
        known = text[:1] in ("{", "[") and json.loads(text) is not None
    except (ValueError, RecursionError):
        return raw
    return text.encode("utf-8", "surrogatepass") if known else raw
