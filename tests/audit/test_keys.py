"""The secrets that seal the trail."""

import pytest

from backoffice.app import config
from backoffice.audit.chain.keys import Keyring

OLD, NEW = "an old secret of ours", "a-new-secret-of-ours"


def test_without_a_secret_of_its_own_the_key_comes_from_the_one_that_signs() -> None:
    settings = config.load({"SECRET_KEY": OLD})
    assert Keyring.of(settings).newest.name == Keyring([OLD]).newest.name


def test_several_secrets_are_listed_the_newest_first() -> None:
    settings = config.load({"SECRET_KEY": OLD, "AUDIT_KEY": f"{NEW}, another-secret-of-ours\n"})
    keys = Keyring.of(settings)
    assert keys.newest.name == Keyring([NEW]).newest.name
    assert keys.age_of(Keyring(["another-secret-of-ours"]).newest.name) == 1
    assert keys.age_of(Keyring([OLD]).newest.name) is None, "the one that signs counts no more"


def test_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(config.ConfigurationError, match="fewer than 16 characters"):
        config.load({"SECRET_KEY": OLD, "AUDIT_KEY": f"{NEW},short"})


def test_no_two_purposes_share_a_key_and_none_shows_the_secret() -> None:
    key = Keyring([OLD]).newest
    derived = {key.of_events, key.of_seals, key.of_anchors, bytes.fromhex(key.name)}
    assert len(derived) == 4
    assert OLD not in repr(key) + key.name
    with pytest.raises(ValueError, match="nothing can be sealed"):
        Keyring([])
