"""Both catalogues are complete, up to date and consistent."""

import re

import pytest

from backoffice import translations
from backoffice.base.refusals import Refusal
from backoffice.security.permissions import ROLES

LANGUAGES = translations.LANGUAGES
UPDATE = "run: .venv/bin/python -m backoffice.translations"

THE_SAME = {
    "Administrator", "Audit", "Menu", "Promo", "Status", "Total", "Data", "Filter",
    "%(field)s: %(problem)s", "%(name)s: %(value)s", "Total: %(name)s", "per %(unit)s",
    "Deposit", "Target", "target", "Target %(year)s", "Target, %(month)s", "Meter", "Meter %(number)s", "Volume Sm³",
    "Debit",
}  # fmt: skip
"""Texts that are the same in Indonesian and English."""


@pytest.fixture(scope="module")
def marked():
    """Every string that code and templates mark."""
    return translations.extract()


def messages(language):
    return [message for message in translations.read(language) if message.id]


def forms(text):
    return list(text) if isinstance(text, tuple | list) else [text]


def placeholders(text):
    return set(re.findall(r"%(?:\((\w+)\))?[sd]|%%", text.replace("%%", "")))


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_catalogue_holds_exactly_what_is_marked(language, marked):
    held = {m.id if isinstance(m.id, str) else tuple(m.id) for m in messages(language)}
    wanted = {message for message in marked if translations.is_held(language, message)}
    assert held - wanted == set(), f"no longer used; {UPDATE}"
    assert wanted - held == set(), f"not in the catalogue yet; {UPDATE}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_is_translated_and_nothing_is_guessed(language):
    assert [message.id for message in translations.missing(language)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_placeholders_agree(language):
    wrong = [
        message.id
        for message in messages(language)
        for said in forms(message.string)
        if said
        and placeholders(said) != placeholders(forms(message.id)[-1])
        and not (message.pluralizable and placeholders(said) < placeholders(forms(message.id)[-1]))
    ]
    assert wrong == []


def test_a_sentence_stays_a_sentence_and_a_label_a_label():
    def shape(text):
        return (text[-1:] if text[-1:] in ".?!…:" else "", text != text.strip(), text[:1].isupper())

    wrong = [
        message.id
        for message in messages("id")
        if all(forms(message.string))
        and shape(forms(message.id)[-1])[:2] != shape(forms(message.string)[-1])[:2]
    ]
    assert wrong == []


def test_indonesian_is_not_left_in_english():
    copied = [
        message.id
        for message in messages("id")
        if isinstance(message.id, str)
        and message.id == message.string
        and message.id not in THE_SAME
        and re.search(r"[a-z]{3}", re.sub(r"%\(\w+\)[sd]", "", message.id))
    ]
    assert copied == []


def test_english_holds_plurals_and_nothing_else(tmp_path, monkeypatch, marked):
    """This also holds after the tool has processed a catalogue that repeats the English sentences."""
    monkeypatch.setattr(translations, "po_file", lambda language: tmp_path / f"{language}.po")
    monkeypatch.setattr(translations, "extract", lambda: marked)
    sentence = next(message for message in marked if isinstance(message, str))
    said_twice = translations._empty("en")
    said_twice.add(sentence, sentence)
    translations._write(said_twice, tmp_path / "en.po")
    translations.update()
    held = {m.id for m in messages("en")}
    assert held == {message for message in marked if not isinstance(message, str)}
    assert sentence in {m.id for m in messages("id") if isinstance(m.id, str)}


def test_english_says_what_the_code_says():
    assert messages("en")
    assert all(m.pluralizable for m in messages("en"))
    assert [m.id for m in messages("en") if forms(m.string) != forms(m.id)] == []


def subclasses(kind):
    for child in kind.__subclasses__():
        yield child
        yield from subclasses(child)


def test_every_refusal_and_every_role_can_be_translated(application, marked):
    ours = [c for c in subclasses(Refusal) if c.__module__.startswith("backoffice.")]
    assert ours
    untranslatable = [c.__qualname__ for c in ours if c.sentence not in marked]
    assert untranslatable == []
    assert set(ROLES.values()) <= set(marked)


def test_indonesian_has_one_plural_form():
    assert translations.read("id").num_plurals == 1
    assert translations.read("en").num_plurals == 2
