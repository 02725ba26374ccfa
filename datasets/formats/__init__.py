"""Annotation formats that other tools write and read: YOLO (oriented or upright boxes), COCO, Label Studio and CVAT.

All are read into and written from ``AnnotatedPhoto`` (``annotations.py``). ``annotate`` makes it from the truth for a detector;
``whole.py`` makes it from all of the truth and brings it back; ``convert.py`` goes from any format to any other.
"""
