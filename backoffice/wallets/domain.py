"""The declaration of the wallets domain."""

from ..app.domain import Domain, NavigationEntry
from ..base import N_

DOMAIN = Domain(
    "wallets",
    models=("backoffice.wallets.models",),
    figures=("backoffice.wallets.figures",),
    screens=("backoffice.wallets.views", "backoffice.wallets.health"),
    navigation=(
        NavigationEntry(
            6, N_("Wallets"), "wallets.index", "wallets", "wallets.", ("wallet_transactions.",)
        ),
    ),
    triggers=("backoffice.wallets.triggers:TRIGGERS",),
    records=("backoffice.wallets.records:RECORDS",),
    measures=("backoffice.wallets.measures:SOURCES",),
    notices=("backoffice.wallets.notices:NOTICES",),
    owners=("backoffice.wallets.watched:OWNERS",),
    parts=("backoffice.wallets.of_customers:PARTS",),
    owned_records=("backoffice.wallets.of_customers:OWNED",),
)
