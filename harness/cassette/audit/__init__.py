"""List, check, compare and print recorded cassettes."""
