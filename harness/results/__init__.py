"""Records to tables, statistics and reports."""
