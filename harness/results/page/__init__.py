"""``report.html``: one file that opens offline, made from a run's folder alone.

Covered: all figures of the tables, the comparisons, a picture, a heat map, and each trial's whole
conversation, readable without JavaScript (which adds sorting and filtering). Every text of a model is
escaped by the template engine or the highlighter; should one get through, the page's content policy runs
no script but its own.

Not covered: runs too large for one file have their conversations in files of their own (``trials/``).
"""
