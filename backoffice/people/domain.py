"""What people have: sign-in, users, tokens."""

from ..app.domain import Domain

DOMAIN = Domain(
    "people",
    screens=(
        "backoffice.people.views",
        "backoffice.people.token_views",
    ),
    findable=("backoffice.people.finding:FINDABLE",),
    pages=("backoffice.people.finding:PAGES",),
)
