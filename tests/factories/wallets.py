"""Wallets, saved in the app's session; their transactions are posted by the wallets' actions."""

import factory

from backoffice.app.extensions import db
from backoffice.wallets.models import Wallet

from .customers import CustomerFactory


class WalletFactory(factory.alchemy.SQLAlchemyModelFactory):
    """An empty wallet."""

    class Meta:
        model = Wallet
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"

    number = factory.Sequence(lambda n: f"WAL-{n + 1:05}")
    customer = factory.SubFactory(CustomerFactory)
