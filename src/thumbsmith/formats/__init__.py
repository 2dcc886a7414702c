"""Bytes to picture and back: the only place that imports an image library.

`decoding` gives a source's picture at the scale that is needed; `modes`, `color` and `picture` change it; `encoding`
writes it. Nothing of these is imported before a picture is to be made: the library costs more to load than a
small picture costs to make.
"""
