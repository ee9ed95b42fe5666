"""Write a finished run for other programs, one module for each format.

``tabular.py``: a row for each trial, as CSV or Parquet. ``inspect_log.py``: logs that ``inspect view`` opens.
``otel.py``: OpenTelemetry spans of the GenAI conventions.
"""

from __future__ import annotations
