"""Compress texts into the page: gzip and base64, which every browser of today unpacks by itself."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping


def blob(texts: Mapping[str, str]) -> str:
    """Return named texts as one compressed text that a page may hold anywhere."""
    whole = json.dumps(dict(texts), ensure_ascii=False, separators=(",", ":"))
    packed = gzip.compress(whole.encode("utf-8", "replace"), compresslevel=6, mtime=0)
    return base64.b64encode(packed).decode("ascii")
