"""tagtrace: reads drug adverts off walls and puts duplicate reports together."""

__version__ = "0.1.0"
