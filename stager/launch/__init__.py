"""Runs and watches a droplet. Reads only ``droplet.yaml``, never a plugin.

``boot`` is the story: start, ask, measure, stop, prove that nothing is left. ``instance`` is one
started droplet; ``processes``, ``ports`` and ``workers`` read /proc; ``readiness`` and ``in_flight``
speak HTTP; ``stopping`` is ``./stop`` and what it left behind.
"""
