"""The domain of lists: saved views and their screens."""

from ..app.domain import Domain

DOMAIN = Domain(
    "lists",
    models=("backoffice.lists.models",),
    screens=("backoffice.lists.views",),
)
