"""A name without visible characters is refused."""

import pytest

from backoffice.base.identifiers import is_visible


@pytest.mark.parametrize("name", ["Ayu", "7", "李", "محمد", "Ö", "\u202eAyu", "०"])
def test_a_letter_or_a_digit_of_any_script_can_be_seen(name: str) -> None:
    assert is_visible(name)


@pytest.mark.parametrize(
    "name", ["", " ", "\u202e", "\u200b\u200f", "\u3164", "\u00ad", "\u2800", "...", "—", "\ufeff"]
)
def test_what_cannot_be_seen_or_is_only_a_sign_is_no_name(name: str) -> None:
    assert not is_visible(name)
