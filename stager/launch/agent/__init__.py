"""Keeps applications running on one host: what was asked for against what is.

``records`` is what is written down, ``places`` where it lies; ``starting`` begins one instance,
``supervisor`` keeps as many as were asked for, ``control`` speaks to it from other processes.
"""
