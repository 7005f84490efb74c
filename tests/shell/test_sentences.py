"""Sentences in templates: in the reader's language, with escaped values, and a literal percent sign."""

from flask import Flask, render_template_string
from flask_babel import force_locale


def test_one_process_speaks_each_readers_language(app: Flask) -> None:
    for _ in range(2):
        said = []
        for language in ("en", "id"):
            with app.test_request_context(), force_locale(language):
                said.append(render_template_string("{{ _('Customer') }} {{ gettext('Customer') }}"))
        assert said == ["Customer Customer", "Pelanggan Pelanggan"]


def test_a_value_is_escaped_and_the_sentence_is_not(app: Flask) -> None:
    with app.test_request_context():
        page = render_template_string("{{ _('<i>%(name)s</i>', name=name) }}", name="<b>")
    assert page == "<i>&lt;b&gt;</i>"


def test_a_doubled_per_cent_is_one_and_plurals_count(app: Flask) -> None:
    with app.test_request_context():
        assert render_template_string("{{ _('100 %% sure') }}") == "100 % sure"
        counted = "{{ ngettext('%(num)s order', '%(num)s orders', 2) }}"
        assert render_template_string(counted) == "2 orders"


def test_outside_of_a_request_a_sentence_is_as_it_is_written(app: Flask) -> None:
    template = app.jinja_env.from_string("{{ _('Customer') }}")
    assert template.render() == "Customer"
