"""Detectors, recognisers and code readers, and the weights they run on.

``registry`` names the weights in ``weights.toml`` and refuses a file whose checksum differs; vendor libraries are imported in
``adapters`` only.
"""
