"""The declaration of the products domain."""

from ..app.domain import Domain

DOMAIN = Domain(
    "products",
    models=("backoffice.products.models",),
    screens=("backoffice.products.views",),
    findable=("backoffice.products.finding:FINDABLE",),
    pages=("backoffice.products.finding:PAGES",),
    records=("backoffice.products.records:RECORDS",),
    recorded=("backoffice.products.records:RECORDED",),
)
