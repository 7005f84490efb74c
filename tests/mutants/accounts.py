"""Careless changes of people and their rights: roles, passwords, sign-in, sessions and tokens."""

from .mutant import Mutant

ACTIONS, PASSWORDS = "backoffice/people/actions.py", "backoffice/people/passwords.py"
TOKENS, BEARER = "backoffice/people/tokens.py", "backoffice/security/bearer.py"
SESSIONS, RIGHTS = "backoffice/security/sessions.py", "backoffice/security/rights.py"

OF_USERS, OF_SESSIONS = "tests/people/test_users.py", "tests/people/test_sessions.py"
OF_TOKENS, SIGNING_IN = "tests/people/test_tokens.py", "tests/people/test_signing_in.py"
ENDED = (f"{OF_SESSIONS}::test_all_sessions_of_a_user_end_when_they_are",)

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "people-session-lasts-as-long-as-it-is-used",
        SESSIONS,
        "return min(datetime.now(UTC) + IDLE, began_at + LONGEST)",
        "return datetime.now(UTC) + IDLE",
        (f"{OF_SESSIONS}::test_using_a_session_extends_it_but_not_for_ever",),
    ),
    Mutant(
        "people-session-of-a-disabled-user-goes-on",
        SESSIONS,
        "and_(User.id == WebSession.user_id, User.is_active)",
        "and_(User.id == WebSession.user_id)",
        (f"{OF_SESSIONS}::test_a_user_disabled_behind_our_back_is_signed_out_too",),
        harmless="To Flask-Login a disabled user is not signed in, and no view opens to them.",
    ),
    Mutant(
        "people-session-that-is-over-goes-on",
        SESSIONS,
        '.where(WebSession.id == bindparam("digest"), WebSession.expires_at > func.now())',
        '.where(WebSession.id == bindparam("digest"))',
        (f"{OF_SESSIONS}::test_a_session_ends_by_itself",),
    ),
    Mutant(
        "people-session-from-before-sign-in-stays-valid",
        SESSIONS,
        "            self.superseded.append(digest(self.token))\n",
        "            self.superseded.append(self.token)\n",
        (f"{OF_SESSIONS}::test_a_planted_session_id_is_worthless_after_sign_in",),
    ),
    Mutant(
        "people-old-password-opens-a-session-after-its-change",
        SESSIONS,
        "User.id == user_id, User.password_hash == proved_hash",
        "User.id == user_id",
        (
            f"{SIGNING_IN}::test_whoever_signs_in_while_the_password_is_changed_is_not_let_in_by_the_old_one",
        ),
    ),
    Mutant(
        "people-cookie-is-in-reach-of-scripts",
        SESSIONS,
        "httponly=True",
        "httponly=False",
        (f"{OF_SESSIONS}::test_the_cookies_are_out_of_reach_of_scripts_and_other_sites",),
    ),
    Mutant(
        "people-disabled-user-signs-in",
        ACTIONS,
        "if user is None or not is_right or not user.is_active:",
        "if user is None or not is_right:",
        (f"{SIGNING_IN}::test_a_disabled_user_gets_the_same_answer_as_a_wrong_password",),
    ),
    Mutant(
        "people-new-role-leaves-sessions",
        ACTIONS,
        "    user.role = role\n    end_sessions(session, user)\n",
        "    user.role = role\n",
        ENDED,
    ),
    Mutant(
        "people-new-password-leaves-sessions",
        ACTIONS,
        "    user.password_hash = passwords.hashed(password)\n    end_sessions(session, user)\n",
        "    user.password_hash = passwords.hashed(password)\n",
        ENDED,
    ),
    Mutant(
        "people-last-administrator-goes",
        ACTIONS,
        "    if administrators == [user.id]:\n",
        "    if not administrators:\n",
        (f"{OF_USERS}::test_the_last_active_administrator_stays",),
    ),
    Mutant(
        "people-administrators-are-not-locked",
        ACTIONS,
        "        .order_by(User.id)\n        .with_for_update(key_share=True)\n",
        "        .order_by(User.id)\n",
        (f"{OF_USERS}::test_two_administrators_who_demote_each_other_at_once_do_not_both_succeed",),
    ),
    Mutant(
        "people-administrator-disables-themselves",
        ACTIONS,
        "    if by is not None and by.id == user.id:\n",
        "    if by is user and not administrators:\n",
        (f"{OF_USERS}::test_an_administrator_cannot_disable_or_demote_themselves_by_accident",),
    ),
    Mutant(
        "people-stale-form-gives-a-role-back",
        ACTIONS,
        'if opened is not None and differences(opened, facts_of(user), mine, ""):',
        'if opened is not None and differences(opened, opened, mine, ""):',
        (
            "tests/people/test_user_conflicts.py::test_a_form_that_was_open_gives_nobody_back_the_role_that_was_taken",
        ),
    ),
    Mutant(
        "people-unknown-address-is-refused-sooner",
        PASSWORDS,
        "    if len(password) > LONGEST:\n        return False\n",
        "    if len(password) > LONGEST or not password_hash:\n        return False\n",
        (f"{SIGNING_IN}::test_an_unknown_address_takes_as_long_as_a_wrong_password",),
    ),
    Mutant(
        "people-password-of-one-letter",
        PASSWORDS,
        " or len(set(plain)) < 4:",
        ":",
        (f"{SIGNING_IN}::test_a_weak_password_cannot_be_set",),
    ),
    Mutant(
        "people-wrong-passwords-are-not-counted",
        "backoffice/people/views.py",
        "    return response.status_code == 422\n",
        "    return response.status_code == 401\n",
        (f"{SIGNING_IN}::test_guessing_is_slowed_down_and_the_right_password_waits_too",),
    ),
    Mutant(
        "people-revoked-token-opens",
        TOKENS,
        '    ApiToken.token_hash == bindparam("known"),\n    ApiToken.revoked_at.is_(None),\n',
        '    ApiToken.token_hash == bindparam("known"),\n',
        (f"{OF_TOKENS}::test_a_revoked_token_opens_nothing_and_its_name_is_free_again",),
    ),
    Mutant(
        "people-expired-token-opens",
        TOKENS,
        "ApiToken.expires_at > func.clock_timestamp()",
        "ApiToken.expires_at.is_not(None)",
        (f"{OF_TOKENS}::test_an_expired_an_unknown_and_a_malformed_token_are_refused_alike",),
    ),
    Mutant(
        "people-token-of-any-scope-opens",
        BEARER,
        "    if token is None or not opens(token.scope, scope):\n",
        "    if token is None:\n",
        (f"{OF_TOKENS}::test_a_token_of_another_scope_is_refused_with_403",),
    ),
    Mutant(
        "people-guessed-tokens-are-not-counted",
        BEARER,
        "        _count_failure()\n",
        "",
        (f"{OF_TOKENS}::test_too_many_attempts_are_refused_but_a_good_token_is_let_in",),
    ),
    Mutant(
        "people-disabled-user-keeps-permissions",
        RIGHTS,
        "    return person.is_authenticated and person.is_active\n",
        "    return True\n",
        ("tests/people/test_permissions.py::test_a_disabled_user_may_nothing",),
    ),
    Mutant(
        "people-account-manager-sees-all-orders",
        RIGHTS,
        '"account_manager": _READ | {"orders.write"},',
        '"account_manager": _READ | {"orders.write", "orders.read_all"},',
        ("tests/people/test_permissions.py::test_a_strangers_order_looks_like_none_at_all",),
    ),
)
