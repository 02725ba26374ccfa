"""Data to learn from and to measure with: synthetic walls, sample photos, and readers and writers of annotation formats.

Imports ``models`` and ``contract`` only. Everything generated is fictional and follows from a seed.
"""
