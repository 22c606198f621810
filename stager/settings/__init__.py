"""``stager.yml``, ``Procfile``, ``STAGER_*`` variables and flags, from one definition.

PyYAML is imported when there is a file to read, not before.
"""

from stager.settings.definition import Hooks
from stager.settings.loading import Settings, load_settings
from stager.settings.reference import reference_table
from stager.settings.schema import json_schema
from stager.settings.units import parse_size

__all__ = ["Hooks", "Settings", "json_schema", "load_settings", "parse_size", "reference_table"]
