"""The domain of lists: saved views and help entries of every list."""

from ..app.domain import Domain

DOMAIN = Domain(
    "lists",
    models=("backoffice.lists.models",),
    screens=("backoffice.lists.views",),
)
