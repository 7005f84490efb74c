"""The domain of people: sign-in, users, tokens."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "people",
    models=("backoffice.people.models",),
    screens=(
        "backoffice.people.views",
        "backoffice.people.user_views",
        "backoffice.people.token_views",
    ),
    navigation=(
        NavigationEntry(
            14, N_("Settings"), "people.users", "settings", "people.user", ("people.token",)
        ),
    ),
    findable=("backoffice.people.finding:FINDABLE",),
    pages=("backoffice.people.finding:PAGES",),
    notices=("backoffice.people.notices:NOTICES",),
)
