"""Annotation formats that other tools write and read: YOLO (oriented or upright boxes) and COCO.

Both are read into and written from ``AnnotatedPhoto`` (``annotations.py``), which is made from the truth of photos.
"""
