"""Jobs: worker processes that read the photos of reports."""
