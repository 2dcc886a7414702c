"""`Accept`, pure."""

import pytest

from thumbsmith.web.renditions import Offer, choose_offer, parse_accept

WEBP, JPEG, AVIF, PNG = (
    Offer("image/webp", 200),
    Offer("image/jpeg", 300),
    Offer("image/avif", 100),
    Offer("image/png", 900),
)
ALL = (WEBP, JPEG, AVIF, PNG)

CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
OLD_SAFARI = "image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"


@pytest.mark.parametrize(
    ("header", "offers", "chosen"),
    [
        (None, ALL, JPEG),
        ("", ALL, JPEG),
        ("*/*", ALL, JPEG),
        ("image/*", (WEBP, AVIF), WEBP),
        (CHROME, ALL, AVIF),
        (CHROME, (WEBP, JPEG), WEBP),
        (OLD_SAFARI, ALL, PNG),
        (OLD_SAFARI, (WEBP, JPEG), JPEG),
        ("image/webp;q=0.5, image/jpeg;q=0.9", ALL, JPEG),
        ("image/webp;q=0.500,image/jpeg;q=0", (WEBP, JPEG), WEBP),
        ("*/*, image/jpeg;q=0", (JPEG,), None),
        ("image/*;q=0.1, image/avif;q=0", (AVIF, PNG), PNG),
        ("text/html", ALL, None),
        ("IMAGE/WEBP ; Q=1.0", ALL, WEBP),
        ("image/webp;q=2, image/jpeg", ALL, JPEG),
        ("image/webp;q=nan", ALL, None),
        ("nonsense", ALL, None),
        ("image/webp;level=1;q=0.2, image/png;q=0.1", ALL, WEBP),
    ],
)
def test_the_format_that_is_wanted_most_is_chosen(header, offers, chosen):
    """q-values, names before wildcards, a range of a type before one of all, and nothing that is not wanted."""
    assert choose_offer(offers, parse_accept(header)) == chosen
