"""The model server: `server` offers `openai_api` (to Letta) and `anthropic_api` (to coder and tester).

Both parse with `requests` and answer with `smollm`, a small model, or `scripted`, a policy without a model.
"""
