"""What flows between the phases: frozen data, with no behaviour beyond its own arithmetic."""
