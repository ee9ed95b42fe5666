"""harness/cassette/content_encoding.py: what an endpoint compressed is text before anything reads it."""

import codecs
import gzip
import json
import time
import zlib

import brotli
import pytest
import zstandard

from harness.cassette import content_encoding
from harness.cassette.content_encoding import MAX_ANSWER, Undecodable, as_utf8, decode

TEXT = json.dumps({"text": "one\ntwo é 漢 " * 50}, ensure_ascii=False).encode()


def raw_deflate(data):
    """As some servers understand ``deflate``: without zlib's frame."""
    made = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return made.compress(data) + made.flush()


ENCODERS = {
    "gzip": gzip.compress,
    "GZip ": gzip.compress,
    "deflate": zlib.compress,
    "deflate,": raw_deflate,
    "br": brotli.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
    "": bytes,
    "gzip, br": lambda data: brotli.compress(gzip.compress(data)),
    "identity,deflate": zlib.compress,
}


@pytest.mark.parametrize("name", ENCODERS)
def test_every_encoding_that_an_sdk_asks_for_is_decoded(name):
    """One encoding or several, in the order in which they were applied."""
    assert decode(ENCODERS[name](TEXT), name) == TEXT
    assert decode(b"", name) == b""


@pytest.mark.parametrize("module", ["backports.zstd", "zstandard"])
def test_either_package_of_zstd_will_do(module, monkeypatch):
    """The HTTP libraries of the two SDKs need different ones."""
    found = content_encoding.import_module

    def only(name):
        if name != module:
            raise ImportError(name)
        return found(name)

    monkeypatch.setattr(content_encoding, "import_module", only)
    assert decode(zstandard.compress(TEXT), "zstd") == TEXT
    with pytest.raises(Undecodable, match="ends early"):
        decode(zstandard.compress(TEXT)[:-5], "zstd")
    with pytest.raises(Undecodable, match="unfolds to more than"):
        decode(zstandard.compress(b"x" * (MAX_ANSWER + 1)), "zstd")


@pytest.mark.parametrize("module", ["backports.zstd", "zstandard"])
def test_frames_of_zstd_stand_one_behind_the_other(module, monkeypatch):
    """Clients read them all; half a frame is told."""
    monkeypatch.setattr(content_encoding, "_first_installed", lambda *_: pytest.importorskip(module))
    two = zstandard.compress(TEXT) + zstandard.compress(b"x" * 3000)
    assert decode(two, "zstd") == TEXT + b"x" * 3000
    with pytest.raises(Undecodable, match="ends early"):
        decode(two[:-5], "zstd")


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_half_a_body_is_told_from_a_whole_one(name):
    """A stream that ends early is an error, though clients hand out the half that came."""
    with pytest.raises(Undecodable, match=f"its {name} body ends early, after [0-9]+ bytes"):
        decode(ENCODERS[name](TEXT)[:-12], name)


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_a_label_that_is_wrong_is_named(name):
    """Plain text under the label of an encoding."""
    with pytest.raises(Undecodable, match=f"its content-encoding is {name}, and its body is not"):
        decode(TEXT, name)


@pytest.mark.parametrize("name", ["compress", "x-gzip", "none", "gzip;q=1", "\x1b[2J"])
def test_an_encoding_that_nobody_asked_for_is_named(name):
    """No client would decode it either."""
    with pytest.raises(Undecodable, match="which nobody asked for") as caught:
        decode(TEXT, name)
    assert "\x1b" not in str(caught.value)


def test_without_its_package_an_encoding_is_one_that_nobody_asked_for(monkeypatch):
    """Nor do the HTTP libraries ask for it then."""

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(content_encoding, "import_module", missing)
    with pytest.raises(Undecodable, match="br, which nobody asked for"):
        decode(brotli.compress(TEXT), "br")


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
@pytest.mark.slow
def test_a_small_body_cannot_unfold_into_a_large_one(name):
    """A few kilobytes of 300 million zeros end at the bound, soon."""
    bomb, began = ENCODERS[name](bytes(300_000_000 if name != "br" else MAX_ANSWER * 2)), time.process_time()
    with pytest.raises(Undecodable, match="unfolds to more than"):
        decode(bomb, name)
    assert time.process_time() - began < 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("around", ["", " \r\n"])
def test_json_in_any_encoding_of_unicode_becomes_plain_utf8(encoding, around):
    """A client reads them all, so the scan for secrets has to."""
    text = '{"a": "é 漢"}'
    assert as_utf8((around + text + around).encode(encoding)).strip() == text.encode()


@pytest.mark.parametrize(
    "raw",
    [b"", b"plain", b"{not json", b' {"a": ', b"\xff\xfe\x00", codecs.BOM_UTF16 + b"{", b" 12", b"\x1f\x8b"],
)
def test_what_is_no_json_is_left_as_it_is(raw):
    """Nothing is guessed."""
    assert as_utf8(raw) == raw
