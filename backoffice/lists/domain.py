"""What lists have: saved views and what stands beside every list."""

from ..app.domain import Domain

DOMAIN = Domain(
    "lists",
    models=("backoffice.lists.models",),
    screens=("backoffice.lists.views",),
)
