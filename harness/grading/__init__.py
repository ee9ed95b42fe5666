"""From test runs to verdicts."""
