"""The actions on users. Never commits; raises a Refusal named after the rule that was broken."""

from collections.abc import Mapping

from sqlalchemy import and_, delete, func, or_, select
from sqlalchemy.orm import Session, scoped_session

from ..base import N_
from ..base.identifiers import is_visible
from ..base.refusals import Refusal, Stale
from ..web.conflicts import differences
from . import passwords
from .models import User, WebSession
from .queries import user_by_email

Db = Session | scoped_session[Session]


class EmailTaken(Refusal):
    """Another user already has the e-mail address."""

    sentence = N_("Another user already has the address %(email)s.")


class EmailMalformed(Refusal):
    """The text is not an e-mail address."""

    sentence = N_("%(email)s is not an e-mail address. Write one like name@company.com.")


class NameMissing(Refusal):
    """The user's name is empty."""

    sentence = N_("Write the person's name.")


class LastAdministrator(Refusal):
    """At least one active user must be able to manage users."""

    sentence = N_(
        "%(name)s is the last active administrator. Make another user an administrator first."
    )


class OwnAccount(Refusal):
    """Administrators must not lock themselves out by accident."""

    sentence = N_(
        "You cannot disable yourself or take away your own administrator role. "
        "Ask another administrator to do it."
    )


class UserChanged(Stale):
    """Another administrator has saved different values since the form was opened."""


class WrongPassword(Refusal):
    """The current password, required for a change, was wrong."""

    sentence = N_("That is not your present password.")


def normal_email(email: str) -> str:
    """`email` as it is stored: trimmed and lower-case. Raises EmailMalformed."""
    from email_validator import EmailNotValidError, validate_email

    email = email.strip().lower()
    try:
        validate_email(email, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise EmailMalformed(email=email) from None
    return email


def authenticate(session: Db, email: str, password: str) -> User | None:
    """The active user with this address and password, or None; both answers take equally long."""
    user = user_by_email(session, email)
    is_right = passwords.matches(user.password_hash if user else "", password)
    if user is None or not is_right or not user.is_active:
        return None
    if passwords.is_outdated(user.password_hash):
        return _rehashed(session, user, password)
    return user


def _rehashed(session: Db, user: User, password: str) -> User | None:
    """Rehash the password under a row lock, once; None if the user was changed or disabled meanwhile."""
    session.refresh(user, with_for_update={"key_share": True})
    if not (user.is_active and passwords.matches(user.password_hash, password)):
        return None
    if passwords.is_outdated(user.password_hash):
        user.password_hash = passwords.hashed(password)
    return user


def create_user(session: Db, *, email: str, name: str, role: str, password: str = "") -> User:
    """A new, active user; without a password they cannot sign in yet."""
    email = normal_email(email)
    _check_email_is_free(session, email)
    user = User(email=email, name=_normal_name(name), role=role, is_active=True)
    if password:
        passwords.check_is_good_enough(password, about=(email, user.name))
        user.password_hash = passwords.hashed(password)
    session.add(user)
    session.flush()
    return user


def facts_of(user: User) -> dict[str, str]:
    """The editable facts of a user, for comparing the forms of two administrators."""
    return {"name": user.name, "email": user.email, "role": user.role}


def edit_user(
    session: Db,
    user: User,
    *,
    email: str,
    name: str,
    role: str,
    by: User | None = None,
    opened: Mapping[str, str] | None = None,
) -> None:
    """Change a user's name, e-mail address and role; a new role ends their sessions.

    `opened` are the facts that editing started from. Raises UserChanged if another administrator has saved others
    since, so that a form left open cannot restore a right that was withdrawn.
    """
    email = normal_email(email)
    mine = {"name": _normal_name(name), "email": email, "role": role}
    _lock(session, user)
    if opened is not None and differences(opened, facts_of(user), mine, ""):
        raise UserChanged()
    if email != user.email:
        _check_email_is_free(session, email)
    user.email, user.name = email, mine["name"]
    if role != user.role:
        set_role(session, user, role, by=by)
    session.flush()


def set_role(session: Db, user: User, role: str, *, by: User | None = None) -> None:
    """Give `user` another role and end their sessions, so that no open page keeps the old rights."""
    administrators = _lock(session, user)
    if role == user.role:
        return
    if user.role == "admin":
        _check_another_administers(user, by, administrators)
    user.role = role
    end_sessions(session, user)
    session.flush()


def set_password(session: Db, user: User, password: str) -> None:
    """Set a password and end all of the user's sessions."""
    passwords.check_is_good_enough(password, about=(user.email, user.name))
    user.password_hash = passwords.hashed(password)
    end_sessions(session, user)
    session.flush()


def change_own_password(session: Db, user: User, *, present: str, new: str) -> None:
    """Set a new password for `user`, who must give the current one.

    The current password is checked under a row lock, so a former password cannot undo a concurrent change.
    """
    session.refresh(user, with_for_update={"key_share": True})
    if not passwords.matches(user.password_hash, present):
        raise WrongPassword()
    set_password(session, user, new)


def disable(session: Db, user: User, *, by: User | None = None) -> None:
    """Disable `user`. Their name remains on everything they did."""
    administrators = _lock(session, user)
    if not user.is_active:
        return
    _check_another_administers(user, by, administrators)
    user.is_active = False
    end_sessions(session, user)
    session.flush()


def enable(session: Db, user: User) -> None:
    """Enable a disabled user."""
    user.is_active = True
    session.flush()


def end_sessions(session: Db, user: User) -> int:
    """Sign `user` out of every browser; returns the number of sessions ended."""
    session.flush()
    was_live = session.scalars(
        delete(WebSession)
        .where(WebSession.user_id == user.id)
        .returning(WebSession.expires_at > func.now())
    )
    return sum(was_live)


def choose(user: User, *, language: str = "", number_format: str = "") -> None:
    """Store the user's language and number format, if given."""
    user.language = language or user.language
    user.number_format = number_format or user.number_format


def forget_expired_sessions(session: Db) -> None:
    """Delete the rows of expired sessions."""
    session.execute(delete(WebSession).where(WebSession.expires_at < func.now()))


def _normal_name(name: str) -> str:
    name = " ".join(name.split())
    if not is_visible(name):
        raise NameMissing()
    return name


def _check_email_is_free(session: Db, email: str) -> None:
    with session.no_autoflush:
        if session.scalar(select(User.id).where(User.email == email)) is not None:
            raise EmailTaken(email=email)


def _lock(session: Db, user: User) -> list[int]:
    """Lock `user` and every active administrator in id order, and reload them; returns the administrators' ids.

    So two administrators cannot demote each other at once, and no decision rests on values read before the wait.
    """
    session.flush()
    administers = and_(User.role == "admin", User.is_active)
    locked = session.scalars(
        select(User)
        .where(or_(User.id == user.id, administers))
        .order_by(User.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return [one.id for one in locked if one.role == "admin" and one.is_active]


def _check_another_administers(user: User, by: User | None, administrators: list[int]) -> None:
    """Refuse removing the last administrator, and an administrator's action against their own account."""
    if by is not None and by.id == user.id:
        raise OwnAccount()
    if administrators == [user.id]:
        raise LastAdministrator(name=user.name)
