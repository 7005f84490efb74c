"""What products have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "products",
    names=("backoffice.products.records",),
    screens=("backoffice.products.views",),
    records=("backoffice.products.records:RECORDS",),
    findable=("backoffice.products.finding:FINDABLE",),
    pages=("backoffice.products.finding:PAGES",),
)
