"""One module per vendor library, each behind a protocol of ``contract`` and imported only when it is used."""
