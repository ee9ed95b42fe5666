"""The model server: `server` offers `openai_api` (to Letta) and `anthropic_api` (to coder and tester).

Both parse with `requests` and answer with a local model on `engine`, or with `scripted_orchestrator`, the
fixed policy.
"""
