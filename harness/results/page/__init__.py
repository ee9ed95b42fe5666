"""``report.html``: one file that opens from disk and offline, made from a run's folder alone.

Read top down it answers: which pair is best and how sure that is, whether a difference is real, where pairs
fail, what they cost. Figures, charts and tables are HTML and SVG that the server's side writes, so they read
and print without JavaScript and follow the reader's colours and type size. JavaScript adds sorting, filters,
and a view of each trial, whose parts lie compressed in the file (``blobs.py``).

Every text of a model is escaped by the template engine or the highlighter; should one get through, the page's
content policy runs no script but its own.
"""
