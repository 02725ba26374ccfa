"""Reports: taking them in, following them, and what the citizen may be told."""
