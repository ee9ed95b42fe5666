"""Claude through its Messages API or its command line."""
