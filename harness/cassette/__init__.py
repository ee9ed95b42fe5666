"""Recordings of trials: the file and its rows, recording and strict replay, staleness, and the folder of all.

``file`` is one cassette, ``exchange`` and ``delta`` what stands in it; ``recorder`` records and plays it,
while ``offline`` keeps sockets shut; ``staleness`` and ``difference`` say why it no longer fits. ``commands``
is ``harness cassettes``, on top of ``shelf`` (the folder), ``catalogue`` (the suite's trials), ``check``,
``show``, ``diff`` and ``printing``.
"""
