"""What wallets have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "wallets",
    models=("backoffice.wallets.models",),
    figures=("backoffice.wallets.figures",),
    screens=("backoffice.wallets.views", "backoffice.wallets.transactions"),
    triggers=("backoffice.wallets.of_customers:TRIGGERS",),
    records=("backoffice.wallets.records:RECORDS",),
    notices=("backoffice.wallets.notices:NOTICES",),
    parts=("backoffice.wallets.of_customers:PARTS",),
    owned_records=("backoffice.wallets.of_customers:OWNED",),
)
