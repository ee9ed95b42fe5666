"""What the sandbox's own process executes. Imports nothing of ``harness`` but its siblings in this folder."""
