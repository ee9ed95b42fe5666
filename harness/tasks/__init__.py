"""Task, source and pair files to typed values."""
