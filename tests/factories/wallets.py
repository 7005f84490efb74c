"""Wallets, saved in the app's session; what moves in them is done by their actions."""

import factory

from backoffice.app.extensions import db
from backoffice.wallets.models import Wallet

from .customers import CustomerFactory


class WalletFactory(factory.alchemy.SQLAlchemyModelFactory):
    """A wallet with nothing in it."""

    class Meta:
        model = Wallet
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"

    number = factory.Sequence(lambda n: f"WAL-{n + 1:05}")
    customer = factory.SubFactory(CustomerFactory)
