"""The conversation between orchestrator and tools; knows no service."""
