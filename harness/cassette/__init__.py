"""Record and strictly replay a trial's exchanges; find out why a recording no longer fits.

``file`` is one cassette, ``exchange`` and ``encoding`` its content, ``record_replay`` records and plays it
while ``offline`` keeps sockets shut; ``staleness`` and ``json_diff`` explain misses; ``audit`` is ``harness
cassettes``.
"""
