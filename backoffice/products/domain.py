"""What products have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "products",
    screens=("backoffice.products.views",),
    findable=("backoffice.products.finding:FINDABLE",),
    pages=("backoffice.products.finding:PAGES",),
)
