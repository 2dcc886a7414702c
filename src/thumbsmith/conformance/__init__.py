"""Tests of a deployment with small, difficult images. `cases` makes them; `checks` checks their thumbnails."""
