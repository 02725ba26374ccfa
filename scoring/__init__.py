"""A folder of photos to results: the run, its files and its report."""
