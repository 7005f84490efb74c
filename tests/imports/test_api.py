"""Files sent as the body of an API request: each line by itself, once, as the token's scope allows."""

from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from backoffice.wallets import actions
from backoffice.wallets.models import Wallet, WalletTransaction
from tests.factories.wallets import WalletFactory
from tests.records.test_api import Program, is_problem

PATH = "/api/imports/wallet-charges"
HEADER = "wallet_id,amount,service_type,idempotency_key"


@pytest.fixture
def program(app: Flask, session: Session) -> Program:
    """A client, with a wallet W-1 that holds 100.00."""
    wallet = WalletFactory(number="W-1")
    actions.recharge(session, wallet.id, Decimal(100))
    session.commit()
    return Program(app, session, "wallets:write")


def send(program: Program, *lines: str, at: str = PATH, key: str = "") -> Any:
    return program.send(
        "POST", at, key=key, data="\n".join([HEADER, *lines]), content_type="text/csv"
    )


def charged(session: Session) -> list[tuple[Any, ...]]:
    session.rollback()
    t = WalletTransaction
    rows = select(t.amount, t.idempotency_key, t.made_by).where(t.transaction_type == "charge")
    return [tuple(row) for row in session.execute(rows.order_by(t.id))]


LINES = ("W-1,60.00,vps,a", "W-1,60.00,vps,b", "W-9,1,,c", "W-1,0,,d", "W-1,40.00,,e")


def test_each_line_is_charged_or_refused_by_itself_and_told(
    program: Program, session: Session
) -> None:
    answer = send(program, *LINES)
    assert answer.status_code == 200, answer.text
    reported = answer.get_json()
    refused = [(one["line"], one["column"]) for one in reported.pop("problems")]
    assert refused == [(3, "amount"), (4, "wallet_id"), (5, "amount")]
    counts = {"read": 5, "created": 2, "unchanged": 0, "bad_lines": 3}
    assert reported == {"kind": "wallet-charges", "dry_run": False, **counts}
    who = f"token:{program.id}"
    assert charged(session) == [(60, "a", who), (40, "e", who)]
    again = send(program, *LINES).get_json()
    assert (again["created"], again["unchanged"], again["bad_lines"]) == (0, 2, 3)
    assert len(charged(session)) == 2


def test_a_line_that_names_two_wallets_is_refused(program: Program, session: Session) -> None:
    named = session.scalars(select(Wallet.id).where(Wallet.number == "W-1")).one()
    other = WalletFactory(number=str(named))
    actions.recharge(session, other.id, Decimal(100))
    session.commit()
    [problem] = send(program, f"{named},10,,a").get_json()["problems"]
    assert problem["column"] == "wallet_id"
    assert problem["message"].startswith(f"{named} names two wallets")
    assert send(program, "W-1,10,,a", f"{other.id},20,,b").get_json()["created"] == 2
    assert charged(session) == [(10, "a", f"token:{program.id}"), (20, "b", f"token:{program.id}")]


def test_a_dry_run_says_the_same_and_charges_nothing(program: Program, session: Session) -> None:
    dry = send(program, *LINES, at=f"{PATH}?dry_run=1").get_json()
    assert charged(session) == []
    done = send(program, *LINES).get_json()
    assert {**done, "dry_run": True} == dry


def test_the_whole_of_it_is_done_once_under_its_key(program: Program, session: Session) -> None:
    first, again = (send(program, *LINES, key="march") for _ in range(2))
    assert again.get_json() == first.get_json()
    assert again.headers["Idempotent-Replay"] == "true"
    assert is_problem(send(program, *LINES[:2], key="march"), 422)
    assert session.scalar(select(Wallet.balance)) == 0


def test_where_it_comes_to_more_than_can_be_stored_nothing_is_charged_and_no_answer_is_kept(
    program: Program, session: Session
) -> None:
    most, wallet_id = Decimal(9_000_000_000_000), session.scalars(select(Wallet.id)).one()
    actions.adjust(session, wallet_id, most, description="From the former book")
    actions.charge(session, wallet_id, most, idempotency_key="former")
    actions.adjust(session, wallet_id, most, description="From the former book")
    session.commit()
    before, lines = charged(session), ("W-1,1,,a", f"W-1,{most},,b", "W-1,2,,c")
    for at in (PATH, f"{PATH}?dry_run=1"):
        refused = send(program, *lines, at=at, key="april")
        assert refused.status_code == 422
        [error] = refused.get_json()["errors"]
        assert error["message"] == "The amounts in this file come to more than can be stored."
    assert charged(session) == before
    done = send(program, *lines[::2], key="april")
    assert (done.status_code, done.get_json()["created"]) == (200, 2)


def test_what_is_no_such_file_is_refused_with_what_it_should_be(
    program: Program, session: Session
) -> None:
    for body in ("", "wallet_id,amount\nW-1,5", "no,such\n1,2", "\0\0", "%PDF-1"):
        answer = program.send("POST", PATH, data=body, content_type="text/csv")
        assert answer.status_code == 422, (body, answer.text)
    for query in ("good=1", "dry_run=0", "dry_run=1&dry_run=1"):
        assert is_problem(send(program, *LINES, at=f"{PATH}?{query}"), 400), query
    assert charged(session) == []


def test_only_who_may_charge_wallets_sends_them_and_no_one_other_files(
    app: Flask, session: Session, program: Program, sign_in: Any
) -> None:
    for scope in ("wallets:read", "imports:write"):
        assert is_problem(send(Program(app, session, scope), *LINES), 403)
    assert is_problem(sign_in("admin").post(PATH, data="x"), 401)
    assert is_problem(send(program, at="/api/imports/customers"), 404)
    assert charged(session) == []
