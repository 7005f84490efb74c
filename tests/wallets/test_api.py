"""The API of wallets, as the systems that charge them use it."""

import threading
from collections.abc import Callable
from copy import copy
from decimal import Decimal
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.people import tokens
from backoffice.people.models import ApiRequest
from backoffice.wallets import actions
from backoffice.wallets.models import Wallet, WalletTransaction
from backoffice.wallets.rules import SUSPENDED
from tests.factories.customers import CustomerFactory
from tests.records.test_api import Program, is_problem

SignIn = Callable[..., FlaskClient]


@pytest.fixture
def program(app: Flask, session: Any) -> Program:
    """Has opened wallet W-1 for customer A, and put 100.00 into it."""
    CustomerFactory(code="A", name="Ana")
    session.commit()
    program = Program(app, session, "wallets:write")
    made = program.send("POST", "/api/wallets", json={"number": "W-1", "customer": "A"})
    assert made.status_code == 201, made.text
    assert post(program, "recharges", amount="100.00").status_code == 201
    return program


def post(program: Program, at: str, wallet: str = "W-1", key: str = "", **sent: Any) -> Any:
    return program.send("POST", f"/api/wallets/{wallet}/{at}", key=key, json=sent)


def wallet(session: Any) -> Wallet:
    session.rollback()
    return session.scalars(select(Wallet).where(Wallet.number == "W-1")).one()


def moved(session: Any) -> list[tuple[Any, ...]]:
    """Type, amount and the balances of everything that moved, in order."""
    session.rollback()
    t = WalletTransaction
    rows = select(t.transaction_type, t.amount, t.balance_before, t.balance_after).order_by(t.id)
    return [tuple(row) for row in session.execute(rows)]


def test_a_wallet_is_opened_charged_refunded_and_read(program: Program, session: Any) -> None:
    charged = post(
        program, "charges", amount="30.00", service_type="vps", description="March", reference="U-7"
    )
    assert charged.status_code == 201, charged.text
    reported = charged.get_json()
    assert (reported["transaction_type"], reported["amount"]) == ("charge", "30.00")
    assert (reported["balance_before"], reported["balance_after"]) == ("100.00", "70.00")
    assert (reported["service_type"], reported["description"], reported["reference"]) == (
        "vps",
        "March",
        "U-7",
    )
    assert reported["made_by"] == f"token:{program.id}"
    assert charged.headers["Location"] == f"/api/wallets/W-1/transactions/{reported['id']}"
    assert program.send("GET", charged.headers["Location"]).get_json() == reported
    refused = post(program, "refunds", amount="30.01")
    assert is_problem(refused, 422, "amount")
    assert "more than what was charged to wallet W-1" in refused.text
    assert post(program, "refunds", amount="5.00").status_code == 201
    assert post(program, "adjustments", amount="-1.00", description="Miscounted").status_code == 201
    read = program.send("GET", "/api/wallets/W-1").get_json()
    assert (read["balance"], read["total_recharged"], read["total_spent"]) == (
        "74.00",
        "100.00",
        "25.00",
    )
    assert (read["customer"], read["status"]) == ("A", "active")
    listed = program.send("GET", "/api/wallets/W-1/transactions?sort=id&limit=3").get_json()
    assert [one["balance_after"] for one in listed["items"]] == ["100.00", "70.00", "75.00"]
    rest = program.send("GET", listed["next"]).get_json()
    assert ([one["transaction_type"] for one in rest["items"]], rest["next"]) == (
        ["adjustment"],
        None,
    )
    charges = program.send("GET", "/api/wallets/W-1/transactions?type=charge&totals=1").get_json()
    assert (charges["count"], charges["items"][0]["id"]) == (1, reported["id"])


def test_what_it_does_not_hold_is_refused_with_402_and_charges_nothing(
    program: Program, session: Any
) -> None:
    refused = post(program, "charges", amount="100.01", key="k")
    assert is_problem(refused, 402)
    reported = refused.get_json()
    assert (reported["title"], reported["code"]) == ("Payment Required", "InsufficientBalance")
    assert reported["type"] == "urn:backoffice:problem:insufficient-balance"
    assert reported["balance"] == "100.00"
    assert "W-1" in reported["detail"]
    assert moved(session) == [("recharge", 100, 0, 100)]
    assert post(program, "charges", amount="100.00", key="k").status_code == 201
    assert is_problem(post(program, "charges", amount="0.01"), 402)


def test_a_closed_wallet_is_409_and_a_suspended_one_422(program: Program, session: Any) -> None:
    held = wallet(session)
    held.status = SUSPENDED
    session.commit()
    suspended = post(program, "charges", amount="1.00")
    assert is_problem(suspended, 422)
    assert suspended.get_json()["code"] == "WalletSuspended"
    assert post(program, "recharges", amount="1.00").status_code == 201
    actions.adjust(session, wallet(session).id, Decimal(-101))
    session.commit()
    version = wallet(session).version
    closed = program.send("POST", "/api/wallets/W-1/close", match=version, json={"reason": "x"})
    assert closed.status_code == 200, closed.text
    for at in ("charges", "recharges", "refunds"):
        refused = post(program, at, amount="1.00")
        assert is_problem(refused, 409)
        assert refused.get_json()["code"] == "WalletClosed"


@pytest.mark.parametrize("at", ["charges", "recharges", "refunds"])
def test_what_is_no_amount_is_422_at_its_field(program: Program, session: Any, at: str) -> None:
    before = moved(session)
    for sent, field in (
        ({}, "amount"), ({"amount": "0"}, "amount"), ({"amount": "-1.00"}, "amount"), ({"amount": 1}, "amount"),
        ({"amount": "1.005"}, "amount"), ({"amount": "NaN"}, "amount"), ({"amount": "1e3"}, "amount"),
        ({"amount": "1", "balance_after": "9"}, "balance_after"),
        ({"amount": "1", "description": "x" * 201}, "description"),
    ):  # fmt: skip
        assert is_problem(post(program, at, **sent), 422, field), sent
    assert is_problem(post(program, at, wallet="W-9", amount="1.00"), 404)
    huge = post(program, at, amount="9999999999999.99")
    assert huge.status_code in (402, 422)
    assert moved(session) == before


def test_a_key_holds_for_ever_and_for_its_content_alone(program: Program, session: Any) -> None:
    sent = {"amount": "30.00", "service_type": "vps", "reference": "U-7"}
    first = post(program, "charges", key="k", **sent)
    another = tokens.create(session, name="Another", scope="wallets:write", expires_at=None)
    session.commit()
    other_program = copy(program)
    other_program.headers = {"Authorization": f"Bearer {another.secret}"}
    assert session.scalar(select(ApiRequest)) is None, (
        "no week ends what the transaction itself keeps"
    )
    for again in (
        post(program, "charges", key="k", **sent),
        post(other_program, "charges", key="k", **sent),
    ):
        assert (again.status_code, again.get_json()) == (201, first.get_json())
        assert again.headers["Location"] == first.headers["Location"]
        assert again.headers["Idempotent-Replay"] == "true"
    CustomerFactory(code="B")
    session.commit()
    program.send("POST", "/api/wallets", json={"number": "W-2", "customer": "B"})
    for at, of, change in (
        ("charges", "W-1", {"amount": "30.01"}), ("charges", "W-1", {"reference": "U-8"}),
        ("refunds", "W-1", {}), ("recharges", "W-2", {}),
    ):  # fmt: skip
        refused = post(
            program,
            at,
            wallet=of,
            key="k",
            **{**sent, **change} if at != "recharges" else {"amount": "30.00"},
        )
        assert is_problem(refused, 422), (at, change)
        assert refused.get_json()["code"] == "KeyUsedOtherwise"
    assert [kind for kind, *_ in moved(session)] == ["recharge", "charge"]


@pytest.mark.slow
def test_of_many_at_once_with_one_key_one_charges_and_without_one_none_overdraws(
    program: Program, session: Any
) -> None:
    def at_once(count: int, **sent: Any) -> list[Any]:
        meet, answers = threading.Barrier(count), []

        def send() -> None:
            meet.wait(30)
            answers.append(post(program, "charges", **sent))

        threads = [threading.Thread(target=send) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        return answers

    same = at_once(5, amount="40.00", key="k")
    assert {answer.status_code for answer in same} == {201}
    assert len({answer.text for answer in same}) == 1
    assert sum("Idempotent-Replay" in answer.headers for answer in same) == 4
    others = at_once(5, amount="25.00")
    assert sorted(answer.status_code for answer in others) == [201, 201, 402, 402, 402]
    assert wallet(session).balance == 10


def test_only_a_token_of_wallets_opens_them(
    app: Flask, session: Any, sign_in: SignIn, program: Program
) -> None:
    reader, stranger = (
        Program(app, session, scope) for scope in ("wallets:read", "customers:write")
    )
    before = moved(session)
    for method, at in (
        ("GET", "/api/wallets/W-1/transactions"), ("POST", "/api/wallets"), ("POST", "/api/wallets/W-1/charges"),
        ("POST", "/api/wallets/W-1/recharges"), ("POST", "/api/wallets/W-1/refunds"),
    ):  # fmt: skip
        sent = {"json": {"amount": "1.00"}} if method == "POST" else {}
        assert is_problem(sign_in("admin").open(at, method=method, **sent), 401)
        assert is_problem(stranger.send(method, at, **sent), 403)
        assert reader.send(method, at, **sent).status_code == (200 if method == "GET" else 403)
    assert moved(session) == before


def test_one_token_is_held_to_its_rate(app: Flask, program: Program) -> None:
    app.config["API_RATE"] = "1 per hour"
    answers = [post(program, "charges", amount="1.00") for _ in range(2)]
    assert is_problem(answers[1], 429)
    assert int(answers[1].headers["Retry-After"]) > 0
