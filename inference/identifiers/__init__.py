"""From what was read to contacts: one grammar per kind, fed by the alternatives of the reading."""
