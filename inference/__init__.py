"""One photo to its analysis: decode, detect, read, group, extract.

Pure between a decoded photo and its identifiers: no files, no clock, no network, no database.
"""
