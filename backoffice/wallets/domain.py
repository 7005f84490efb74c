"""What wallets have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "wallets",
    models=("backoffice.wallets.models",),
    figures=("backoffice.wallets.figures",),
    screens=("backoffice.wallets.views",),
    triggers=("backoffice.wallets.of_customers:TRIGGERS",),
    records=("backoffice.wallets.records:RECORDS",),
    recorded=("backoffice.wallets.records:RECORDED",),
    owned_records=("backoffice.wallets.of_customers:OWNED",),
)
