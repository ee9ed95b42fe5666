"""The orchestrator's server: agents, turns, tools that run inside Letta."""
