"""Which known shop an identifier belongs to, and which photos show the same advert."""
