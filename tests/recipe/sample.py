"""A recipe with every table."""

SAMPLE = """
[limits]
max_bytes = 104857600
max_pixels = 268435456
max_side = 50000
max_frames = 500
max_scans = 100
max_memory = 536870912
max_cpu_seconds = 10

[source]
include = ["**"]
exclude = []

[defaults]
quality = { jpeg = 80, webp = 80, avif = 60 }
background = "#ffffff"
metadata = "strip"
color = "srgb"
animation = "first"

[variants.icon]
width = 64
height = 64
fit = "cover"
gravity = "center"

[variants.small]
width = 256
height = 256
formats = ["webp", "jpeg"]
"""
