"""The domain of the search."""

from ..app.domain import Domain

DOMAIN = Domain(
    "search",
    screens=("backoffice.search.views",),
    findable=("backoffice.search.views:FINDABLE",),
)
