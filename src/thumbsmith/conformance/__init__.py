"""Whether a deployment makes the right thumbnails: small hard pictures, and what must become of each.

`cases` makes the pictures, `checks` looks at what was made of them, `runs` brings them to an engine or a deployment.
"""
