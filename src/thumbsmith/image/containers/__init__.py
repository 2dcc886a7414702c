"""File formats of pictures: headers are read, and outputs checked, without any image library."""
