"""Saved views: the state of a list, stored by a user under a name."""

from sqlalchemy import ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from ..base import Base, Id, Moment
from ..people.models import User


class SavedView(Base):
    """One user's view of one list: `query` is the query string of its address.

    The default view is shown if the address has no arguments; at most one per list.
    """

    __tablename__ = "saved_views"
    __table_args__ = (
        UniqueConstraint("user_id", "list", "name"),
        Index(
            "ix_saved_views_default",
            "user_id",
            "list",
            unique=True,
            postgresql_where=text("is_default"),
        ),
    )

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"))
    list: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text, info={"longest": 60})
    query: Mapped[str] = mapped_column(Text, server_default="", default="")
    is_default: Mapped[bool] = mapped_column(server_default="false", default=False)
    created_at: Mapped[Moment]
