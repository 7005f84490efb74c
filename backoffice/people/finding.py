"""The search for users by name or address, for those who manage them."""

from flask import url_for
from flask_babel import gettext as _

from ..base import N_
from ..search.search_results import Findable, Question, SearchResult
from ..security.rights import ROLES
from ..web.paging import Page
from .queries import Listed, find_users


def _page(question: Question) -> Page[Listed]:
    def ask() -> Page[Listed]:
        return find_users(question.session, search=question.text, size=question.limit)

    page: Page[Listed] = question.once("users", ask)
    return page


def _ask(question: Question) -> list[SearchResult]:
    return [
        SearchResult(
            person.name,
            url_for("people.user", user_id=person.id),
            (person.email, _(ROLES[person.role])),
            status="" if person.is_active else _("Disabled"),
            names=(person.email, person.name),
        )
        for person in (listed.user for listed in _page(question).items)
    ]


FINDABLE = (
    Findable(
        "users",
        N_("Users"),
        "people.users",
        _ask,
        rank=8,
        all_of=lambda text: url_for("people.users", q=text),
        count=lambda question: _page(question).total,
    ),
)
PAGES = (
    (N_("Users"), "people.users"),
    (N_("New user"), "people.user_new"),
    (N_("Tokens"), "people.tokens_index"),
    (N_("Profile"), "people.profile"),
)
