"""What may be done with users. Never commits; raises a Refusal named after the law that was broken."""

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, scoped_session

from ..base import N_
from ..base.identifiers import is_visible
from ..base.refusals import Refusal
from . import passwords
from .models import User, WebSession

Db = Session | scoped_session[Session]


class EmailTaken(Refusal):
    """Two users cannot share an address."""

    sentence = N_("Another user already has the address %(email)s.")


class EmailMalformed(Refusal):
    """Not an e-mail address."""

    sentence = N_("%(email)s is not an e-mail address. Write one like name@company.com.")


class NameMissing(Refusal):
    """A user without a name."""

    sentence = N_("Write the person's name.")


class LastAdministrator(Refusal):
    """A user must always be able to manage users."""

    sentence = N_(
        "%(name)s is the last active administrator. Make another user an administrator first."
    )


class OwnAccount(Refusal):
    """An administrator must not lock themselves out by accident."""

    sentence = N_(
        "You cannot disable yourself or take away your own administrator role. "
        "Ask another administrator to do it."
    )


class WrongPassword(Refusal):
    """The present password, asked for before a change, was not right."""

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
    user = session.scalar(select(User).where(User.email == email.strip().lower()))
    is_right = passwords.matches(user.password_hash if user else "", password)
    if user is None or not is_right or not user.is_active:
        return None
    if passwords.is_outdated(user.password_hash):
        user.password_hash = passwords.hashed(password)
    return user


def create_user(session: Db, *, email: str, name: str, role: str, password: str = "") -> User:
    """A new, active user. Without a password nobody can sign in as them yet."""
    email = normal_email(email)
    _check_email_is_free(session, email)
    user = User(email=email, name=_normal_name(name), role=role, is_active=True)
    if password:
        passwords.check_is_good_enough(password, about=(email, user.name))
        user.password_hash = passwords.hashed(password)
    session.add(user)
    session.flush()
    return user


def edit_user(
    session: Db, user: User, *, email: str, name: str, role: str, by: User | None = None
) -> None:
    """Change who a user is and what they may do; a new role ends their sessions."""
    email = normal_email(email)
    if email != user.email:
        _check_email_is_free(session, email)
    user.email, user.name = email, _normal_name(name)
    if role != user.role:
        set_role(session, user, role, by=by)
    session.flush()


def set_role(session: Db, user: User, role: str, *, by: User | None = None) -> None:
    """Give `user` another role and end their sessions, so that no open page keeps the old rights."""
    if role == user.role:
        return
    if user.role == "admin":
        _check_another_administers(session, user, by)
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
    """Set a new password for `user`, who proves to know the present one."""
    if not passwords.matches(user.password_hash, present):
        raise WrongPassword()
    set_password(session, user, new)


def disable(session: Db, user: User, *, by: User | None = None) -> None:
    """Keep `user` out from now on. Their name stays on everything they did."""
    if not user.is_active:
        return
    _check_another_administers(session, user, by)
    user.is_active = False
    end_sessions(session, user)
    session.flush()


def enable(session: Db, user: User) -> None:
    """Let a disabled user in again."""
    user.is_active = True
    session.flush()


def end_sessions(session: Db, user: User) -> int:
    """Sign `user` out of every browser; returns out of how many."""
    session.flush()
    was_live = session.scalars(
        delete(WebSession)
        .where(WebSession.user_id == user.id)
        .returning(WebSession.expires_at > func.now())
    )
    return sum(was_live)


def choose(user: User, *, language: str = "", number_format: str = "") -> None:
    """Remember the user's language and number format, where one is given."""
    user.language = language or user.language
    user.number_format = number_format or user.number_format


def forget_expired_sessions(session: Db) -> None:
    """Delete the rows of sessions that ended by themselves."""
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


def _check_another_administers(session: Db, user: User, by: User | None) -> None:
    """Refuse to lose the last administrator, and an administrator's slip against themselves.

    Locks the active administrators in id order, so that two of them cannot demote each other at once.
    """
    if by is not None and by.id == user.id:
        raise OwnAccount()
    administrators = session.scalars(
        select(User.id)
        .where(User.role == "admin", User.is_active)
        .order_by(User.id)
        .with_for_update(key_share=True)
    ).all()
    if list(administrators) == [user.id]:
        raise LastAdministrator(name=user.name)
