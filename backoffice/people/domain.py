"""What people have: sign-in, users, tokens."""

from ..app.domain import Domain

DOMAIN = Domain(
    "people",
    models=("backoffice.people.models",),
    screens=(
        "backoffice.people.views",
        "backoffice.people.token_views",
    ),
    findable=("backoffice.people.finding:FINDABLE",),
    pages=("backoffice.people.finding:PAGES",),
    notices=("backoffice.people.notices:NOTICES",),
)
