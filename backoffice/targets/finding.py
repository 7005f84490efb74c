"""How the search finds account managers who are visible to the user: by name or e-mail address."""

from flask import url_for
from flask_babel import gettext as _

from ..base import N_
from ..search.search_results import Findable, Question, SearchResult
from . import queries


def _ask(question: Question) -> list[SearchResult]:
    words = question.text.casefold().split()
    found = [
        person
        for person in queries.managers(question.session, question.user)
        if all(word in f"{person.name} {person.email}".casefold() for word in words)
    ]
    return [
        SearchResult(
            person.name,
            url_for("targets.index", manager=person.id),
            (person.email,),
            status="" if person.is_active else _("Disabled"),
            names=(person.email, person.name),
        )
        for person in found[: question.limit]
    ]


FINDABLE = (Findable("targets", N_("Account managers"), "targets.index", _ask, rank=7),)
