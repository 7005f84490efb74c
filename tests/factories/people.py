"""Users, saved in the app's session."""

import factory

from backoffice.app.extensions import db
from backoffice.people.models import User


class UserFactory(factory.alchemy.SQLAlchemyModelFactory):
    """An active user with the role finance, without a password to sign in with."""

    class Meta:
        model = User
        sqlalchemy_session = db.session
        sqlalchemy_session_persistence = "flush"

    email = factory.Sequence(lambda n: f"person{n + 1}@example.com")
    name = factory.Sequence(lambda n: f"Person {n + 1}")
    role = "finance"


class AccountManagerFactory(UserFactory):
    """An account manager."""

    role = "account_manager"
