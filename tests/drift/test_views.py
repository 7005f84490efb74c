"""Screens of drift: the list of findings, one finding, and the preview of its correction."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select, text

from backoffice.app.extensions import db
from backoffice.app.protection import limiter
from backoffice.database.embedded import Services
from backoffice.drift.healing.performing import performed
from backoffice.drift.models import DriftFinding
from backoffice.orders.models import Order
from backoffice.runs.models import Run
from tests.drift.books import key_in, rows_of, run_of, text_of
from tests.files_for_people import lines_for_people
from tests.processor import seconds_of
from tests.surgery import tell_of_everything

SignIn = Callable[..., FlaskClient]

DRIFT = "/health/drift"


def heal_everything(session: Any) -> None:
    run_of("figures.heal")
    session.expire_all()


def ids_of(session: Any, figure: str) -> list[int]:
    return list(session.scalars(select(DriftFinding.id).where(DriftFinding.figure == figure)))


def newest_run(session: Any) -> Run:
    session.expire_all()
    found: Run = session.scalars(select(Run).order_by(Run.id.desc()).limit(1)).one()
    return found


@pytest.fixture
def finance(sign_in: SignIn) -> FlaskClient:
    return sign_in("finance")


@pytest.fixture(autouse=True)
def healed_at_the_end(session: Any) -> Any:
    """Heal whatever a test tampered with, for the drift check after every test."""
    yield
    session.rollback()
    run_of("figures.heal")


def test_the_greatest_difference_comes_first_with_its_owner_figure_root_and_cause(
    finance: FlaskClient, wrong: dict[str, Order]
) -> None:
    rows = rows_of(finance, DRIFT)
    reported = [" ".join(cells) for cells in rows]
    assert len(reported) == 2, reported
    of_total = ("A-1", "Grand total", "100.00", "30.00", "-70.00", "this row", "Changed unnoticed")
    of_line = ("A-2", "Line amount", "5.00", "30.00", "25.00", "this row", "Changed unnoticed")
    assert [word for word in of_total if word not in reported[0]] == []
    assert [word for word in of_line if word not in reported[1]] == []


def test_what_follows_from_another_row_names_its_root_and_leads_to_it(
    finance: FlaskClient, session: Any, orders: dict[str, Order], surgery: Any
) -> None:
    surgery.execute("UPDATE order_lines SET quantity = 4 WHERE order_id = %s", [orders["A-3"].id])
    tell_of_everything(surgery)
    run_of("figures.verify")
    following = rows_of(finance, f"{DRIFT}?rows=follows")
    roots = rows_of(finance, f"{DRIFT}?rows=roots")
    assert (len(following), len(roots)) == (2, 1)
    assert all("Line amount" in " ".join(cells) for cells in following)
    assert all("Follows from another row" in " ".join(cells) for cells in following)
    (total,) = ids_of(session, "orders.grand_total")
    (line,) = ids_of(session, "order_lines.amount")
    assert f'href="{DRIFT}/{line}"' in finance.get(f"{DRIFT}/{total}").text


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("figure=orders.grand_total", ["A-1"]),
        ("q=a-2", ["A-2"]),
        ("at_least=26", ["A-1"]),
        ("at_least=25", ["A-1", "A-2"]),
        ("at_least=many", ["A-1", "A-2"]),
        ("cause=unnoticed", ["A-1", "A-2"]),
        ("cause=rounding", []),
        ("since=2000-01-01&until=2000-12-31", []),
        ("state=healed", []),
        ("state=all&sort=owner", ["A-1", "A-2"]),
    ],
)
def test_the_filters(
    finance: FlaskClient, wrong: dict[str, Order], query: str, numbers: list[str]
) -> None:
    reported = [" ".join(cells) for cells in rows_of(finance, f"{DRIFT}?{query}")]
    assert [
        number for row in reported for number in ("A-1", "A-2", "A-3") if number in row
    ] == numbers


def test_the_sentence_above_says_how_many_how_much_and_since_when(
    finance: FlaskClient, wrong: dict[str, Order]
) -> None:
    reported = text_of(finance.get(DRIFT).text)
    assert "2 stored totals are wrong: Rp 95.00 gross, the oldest first seen" in reported
    assert "Checked " in reported


def test_a_finding_shows_both_amounts_the_way_to_the_calculation_and_the_record(
    finance: FlaskClient, session: Any, wrong: dict[str, Order]
) -> None:
    (number,) = ids_of(session, "orders.grand_total")
    page = finance.get(f"{DRIFT}/{number}").text
    reported = text_of(page)
    for words in ("Grand total", "Stored wrongly", "100.00", "30.00", "-Rp 70.00", "this row"):
        assert words in reported, words
    assert 'href="/orders/A-1"' in page
    assert 'href="/orders/A-1/calculation/grand_total"' in page
    assert finance.get("/orders/A-1/calculation").status_code == 200
    assert f'href="/runs/{newest_run(session).id}"' in page


def test_a_finding_of_a_line_and_one_of_a_month_lead_to_where_they_are_shown(
    finance: FlaskClient, session: Any, orders: dict[str, Order], surgery: Any
) -> None:
    session.execute(text("UPDATE orders SET closing_date = '2026-03-05' WHERE number = 'A-3'"))
    session.commit()
    surgery.execute("UPDATE account_manager_targets SET achieved = 1")
    surgery.execute("UPDATE order_lines SET amount = 1 WHERE order_id = %s", [orders["A-1"].id])
    run_of("figures.verify")
    (month,) = ids_of(session, "account_manager_targets.achieved")
    (line,) = ids_of(session, "order_lines.amount")
    page = finance.get(f"{DRIFT}/{month}").text
    assert "Nancy Davolio · 2026-03" in page
    href = f"/targets/{orders['A-3'].account_manager_id}/2026-03"
    assert f'href="{href}"' in page
    assert finance.get(href).status_code == 200
    href = f"/orders/A-1/calculation/amount/{orders['A-1'].lines[0].id}"
    assert f'href="{href}"' in finance.get(f"{DRIFT}/{line}").text
    assert finance.get(href).status_code == 200


def test_what_was_healed_is_listed_by_filter_and_shows_its_corrections(
    finance: FlaskClient, session: Any, wrong: dict[str, Order]
) -> None:
    (number,) = ids_of(session, "orders.grand_total")
    heal_everything(session)
    assert "Nothing is wrong" in finance.get(DRIFT).text
    assert len(rows_of(finance, f"{DRIFT}?state=healed")) == 2
    reported = text_of(finance.get(f"{DRIFT}/{number}").text)
    assert "Right again" in reported
    assert "Corrected by a run" in reported
    assert "Found by a check" in reported
    assert "Preview the correction" not in reported


def test_a_finding_of_a_deleted_order_is_still_shown(
    finance: FlaskClient, session: Any, wrong: dict[str, Order]
) -> None:
    (number,) = ids_of(session, "orders.grand_total")
    gone = wrong["A-1"].id
    session.execute(text("DELETE FROM orders WHERE number = 'A-1'"))
    session.commit()
    page = finance.get(f"{DRIFT}/{number}")
    assert page.status_code == 200
    assert f"#{gone}" in page.text
    assert finance.get(DRIFT).status_code == 200


def test_a_finding_that_there_is_not_is_not_found(finance: FlaskClient) -> None:
    assert finance.get(f"{DRIFT}/99").status_code == 404
    assert finance.get(f"{DRIFT}/99999999999999999999").status_code == 404


def test_the_file_says_what_the_screen_says(
    app: Flask, finance: FlaskClient, wrong: dict[str, Order]
) -> None:
    limiter.reset()
    lines = lines_for_people(finance, f"{DRIFT}/export.csv?columns=owner,figure,difference,size")
    assert lines[0] == ["Belongs to", "Figure", "Net", "Gross"]
    assert lines[1:3] == [
        ["A-1", "Grand total", "-70.00", "70.00"],
        ["A-2", "Line amount", "25.00", "25.00"],
    ]
    assert lines[3] == ["Total", "", "-45.00", "95.00"]
    assert ["Filter", "Status: Open"] in lines
    assert finance.get(f"{DRIFT}/export.xlsx").status_code == 200


@pytest.mark.leaves_drift
def test_a_file_speaks_the_language_of_whoever_asks_for_it(
    app: Flask, wrong: dict[str, Order], surgery: Any, sign_in: Callable[..., FlaskClient]
) -> None:
    limiter.reset()
    surgery.execute("UPDATE orders SET additions = 7 WHERE number = 'A-1'")
    run_of("figures.verify")
    said = [
        sign_in("finance", language=language).get(f"{DRIFT}/export.csv?columns=by_column").text
        for language in ("en", "id", "en")
    ]
    reported = [[line for line in text.splitlines() if "→" in line] for text in said]
    assert len(reported[0]) == len(reported[1]) > 0
    assert reported[0][0].startswith("Additions ")
    assert reported[1][0].startswith("Penambahan ")
    assert reported[2] == reported[0]


# Previewing the correction


def test_ticked_rows_become_a_dry_run_of_exactly_their_owners(
    finance: FlaskClient, session: Any, wrong: dict[str, Order]
) -> None:
    page = finance.get(DRIFT).text
    (number,) = ids_of(session, "orders.grand_total")
    form = {"idempotency_key": key_in(page), "selected": "1", "id": str(number)}
    answer = finance.post(f"{DRIFT}/preview", data=form)
    run = newest_run(session)
    assert (answer.status_code, answer.location) == (303, f"/runs/{run.id}")
    assert (run.kind, run.dry_run) == ("figures.heal", True)
    assert run.scope == {"figures": {"orders.grand_total": [wrong["A-1"].id]}}
    assert finance.post(f"{DRIFT}/preview", data=form).location == answer.location
    performed(db.engine, run.id)
    assert "-70.00" in finance.get(answer.location).text
    heal_everything(session)


def test_all_that_match_become_a_dry_run_of_their_owners_and_no_others(
    finance: FlaskClient, session: Any, wrong: dict[str, Order]
) -> None:
    form = {"idempotency_key": "k", "matching": "1", "at_least": "26"}
    finance.post(f"{DRIFT}/preview", data=form)
    assert newest_run(session).scope == {"figures": {"orders.grand_total": [wrong["A-1"].id]}}
    finance.post(f"{DRIFT}/preview", data={"idempotency_key": "l", "matching": "1"})
    assert newest_run(session).scope == {
        "figures": {
            "order_lines.amount": [wrong["A-2"].id],
            "orders.grand_total": [wrong["A-1"].id],
        }
    }


def test_nothing_ticked_begins_nothing(
    finance: FlaskClient, session: Any, wrong: dict[str, Order]
) -> None:
    runs = session.scalar(select(func.count()).select_from(Run))
    form = {"idempotency_key": "k", "selected": "1", "id": "not a number"}
    answer = finance.post(f"{DRIFT}/preview", data=form, follow_redirects=True)
    assert "Tick rows that are wrong first" in answer.text
    assert session.scalar(select(func.count()).select_from(Run)) == runs


def test_the_same_asked_twice_leads_to_the_run_that_is_at_it(
    finance: FlaskClient, wrong: dict[str, Order]
) -> None:
    first, second = (
        finance.post(f"{DRIFT}/preview", data={"idempotency_key": key, "matching": "1"})
        for key in "ab"
    )
    assert first.location == second.location


def test_more_records_than_a_preview_takes_are_refused_unless_whole_figures_are_meant(
    finance: FlaskClient, session: Any, wrong: dict[str, Order], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backoffice.drift.views.MOST_OWNERS", 1)
    form = {"idempotency_key": "k", "matching": "1", "at_least": "1"}
    answer = finance.post(f"{DRIFT}/preview", data=form)
    assert answer.status_code == 422
    assert "Narrow the filter" in answer.text
    finance.post(f"{DRIFT}/preview", data={"idempotency_key": "l", "matching": "1"})
    scope = newest_run(session).scope
    assert scope == {"figures": {"order_lines.amount": None, "orders.grand_total": None}}


def test_a_healed_finding_is_not_previewed_again(
    finance: FlaskClient, session: Any, wrong: dict[str, Order]
) -> None:
    (number,) = ids_of(session, "orders.grand_total")
    heal_everything(session)
    form = {"idempotency_key": "k", "id": str(number)}
    assert finance.post(f"{DRIFT}/preview", data=form).location == DRIFT


def test_verify_now_looks_at_one_figure_or_at_all(
    finance: FlaskClient, session: Any, orders: dict[str, Order]
) -> None:
    form = {"idempotency_key": "a", "figure": "orders.grand_total"}
    answer = finance.post(f"{DRIFT}/verify", data=form)
    one = newest_run(session)
    assert answer.location == f"/runs/{one.id}"
    assert (one.kind, one.scope) == ("figures.verify", {"figures": {"orders.grand_total": None}})
    finance.post(f"{DRIFT}/verify", data={"idempotency_key": "b"})
    assert newest_run(session).scope == {}
    nothing = {"idempotency_key": "c", "figure": "orders.nothing"}
    assert finance.post(f"{DRIFT}/verify", data=nothing).status_code == 404


# Rights


def test_who_may_not_correct_sees_what_is_wrong_and_no_way_to_correct_it(
    sign_in: SignIn, session: Any, wrong: dict[str, Order]
) -> None:
    viewer = sign_in("viewer")
    page = viewer.get(DRIFT).text
    assert "A-1" in page
    assert 'type="checkbox" name="id"' not in " ".join(page.split())
    (number,) = ids_of(session, "orders.grand_total")
    assert "Preview the correction" not in viewer.get(f"{DRIFT}/{number}").text
    for path in ("preview", "verify", "recalculate/order/1"):
        assert viewer.post(f"{DRIFT}/{path}", data={"idempotency_key": "k"}).status_code == 403


def test_an_account_manager_sees_neither_drift_nor_dot(
    sign_in: SignIn, wrong: dict[str, Order]
) -> None:
    manager = sign_in("account_manager")
    assert manager.get(DRIFT).status_code == 403
    assert manager.get(f"{DRIFT}/1").status_code == 403
    assert "health-dot" not in manager.get("/orders").text


# Under load


def test_ten_thousand_findings_are_a_page_of_milliseconds(
    sign_in: SignIn, session: Any, services: Services, orders: dict[str, Order]
) -> None:
    order = orders["A-1"]
    session.execute(
        text("""
            INSERT INTO drift_findings
                (figure, owner, key, kind, stored, expected, amount, roots, is_root, cause)
            SELECT 'orders.grand_total', :owner, jsonb_build_object('id', n::text), 'different',
                   '{"grand_total": "1.00"}', '{"grand_total": "2.00"}', n,
                   jsonb_build_array(jsonb_build_object('figure', 'orders.grand_total')), true,
                   'unnoticed'
            FROM generate_series(1, 10000) n
        """),
        {"owner": order.id},
    )
    session.commit()
    session.execute(select(func.public.renew_statistics("drift_findings")))
    session.commit()
    client = sign_in("finance")
    taken = [seconds_of(lambda: client.get(DRIFT), services) for _ in range(5)]
    assert "10,000 rows" in client.get(DRIFT).text
    assert len(rows_of(client, DRIFT)) == 50
    assert min(taken) < 0.2, taken  # about 40 ms
    form = {"idempotency_key": "k", "matching": "1"}
    assert seconds_of(lambda: client.post(f"{DRIFT}/preview", data=form), services) < 1
    session.execute(text("DELETE FROM drift_findings"))
    session.commit()


def test_applying_what_was_previewed_leaves_nothing_wrong(
    finance: FlaskClient, session: Any, wrong: dict[str, Order]
) -> None:
    answer = finance.post(f"{DRIFT}/preview", data={"idempotency_key": "k", "matching": "1"})
    run = newest_run(session)
    performed(db.engine, run.id)
    form = {"idempotency_key": key_in(finance.get(answer.location).text), "reason": "Checked"}
    applied = finance.post(f"/runs/{run.id}/apply", data=form)
    assert applied.status_code == 303
    performed(db.engine, newest_run(session).id)
    assert "Nothing is wrong" in finance.get(DRIFT).text
    assert session.scalar(select(func.count()).where(DriftFinding.healed_at.is_(None))) == 0
