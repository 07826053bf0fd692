"""Ids of 18 characters: the object's prefix, a number in base 62, and three characters that tell its capitals.

Source: https://help.salesforce.com (how the 18-character id is made of the 15-character one).
"""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SUFFIX = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


def row_id(prefix: str, number: int) -> str:
    """The id of the row of this number; ids of one prefix grow with it."""
    digits = ""
    for _ in range(7):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return with_suffix(f"{prefix}Hr000{digits}"[:15])


def with_suffix(short: str) -> str:
    """The 18 characters of an id of 15."""
    parts = (short[at : at + 5] for at in (0, 5, 10))
    return short + "".join(
        _SUFFIX[sum(1 << place for place, char in enumerate(part) if char.isupper())] for part in parts
    )
