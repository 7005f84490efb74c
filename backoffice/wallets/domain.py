"""What wallets have."""

from ..app.domain import Domain

DOMAIN = Domain(
    "wallets",
    models=("backoffice.wallets.models",),
    figures=("backoffice.wallets.figures",),
    screens=(
        "backoffice.wallets.views",
        "backoffice.wallets.transactions",
        "backoffice.wallets.health",
    ),
    triggers=("backoffice.wallets.triggers:TRIGGERS",),
    records=("backoffice.wallets.records:RECORDS",),
    notices=("backoffice.wallets.notices:NOTICES",),
    owners=("backoffice.wallets.watched:OWNERS",),
    parts=("backoffice.wallets.of_customers:PARTS",),
    owned_records=("backoffice.wallets.of_customers:OWNED",),
)
