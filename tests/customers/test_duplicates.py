"""Suggested duplicates: by name without case, punctuation and legal form, or by phone number."""

from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from backoffice.customers import duplicates, queries
from backoffice.customers.models import Customer
from tests.factories.customers import CustomerFactory


def key_of(session: Any, name: str) -> str | None:
    made = CustomerFactory(name=name)
    session.refresh(made)
    return str(made.name_key) if made.name_key else None


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Maju Jaya", "majujaya"),
        ("PT. Maju  Jaya, Tbk", "majujaya"),
        ("P.T. MAJU JAYA (Persero)", "majujaya"),
        ("CV Maju-Jaya", "majujaya"),
        ("Maju Jaya Ltd.", "majujaya"),
        ("Antonio Moreno Taquería", "antoniomorenotaqueria"),
        ("ANTONIO MORENO TAQUERIA S.A.", "antoniomorenotaqueria"),
        ("Königlich Essen GmbH & Co. KG", "koniglichessen"),
        ("B's Beverages", "bsbeverages"),
        ("B’s Beverages", "bsbeverages"),
        ("Ptolemy Assets", "ptolemyassets"),
        ("Around the Horn – London", "aroundthehornlondon"),
        ("北风公司", "北风公司"),
        ("ООО Ромашка", "оооромашка"),
        ("7-Eleven", "7eleven"),
        ("PT CV", None),
        ("...", None),
    ],
)
def test_a_name_is_compared_without_what_people_write_differently(
    session: Any, name: str, key: str | None
) -> None:
    assert key_of(session, name) == key


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("+62 812-3456-789", "0812 3456 789", True),
        ("030-0074321", "0049 30 0074321", True),
        ("(5) 555-4729", "5 555 4729", True),
        ("555-1234", "555-1235", False),
        ("112", "112", False),
        ("", "", False),
    ],
)
def test_a_phone_is_compared_without_prefixes_and_signs(
    session: Any, one: str, other: str, is_same: bool
) -> None:
    first = CustomerFactory(name="One", phone=one)
    second = CustomerFactory(name="Another", phone=other)
    session.commit()
    assert (second in queries.alike(session, first)) is is_same


def groups(session: Any, page: int = 1) -> list[tuple[str, list[str]]]:
    found = duplicates.groups_of(session, page).items
    return [(group.reason, [c.code for c in group.customers]) for group in found]


def test_names_of_a_legal_form_alone_are_no_reason_to_leave_out_a_phone(session: Any) -> None:
    for code, name, phone in (
        ("A1", "AG", "021-5550001"),
        ("A2", "Maju Jaya", "021-5550001"),
        ("B1", "PT", "0921-123465"),
        ("B2", "CV", "0921-123465"),
    ):
        CustomerFactory(code=code, name=name, phone=phone)
    session.commit()
    assert groups(session) == [("phone", ["A1", "A2"]), ("phone", ["B1", "B2"])]


def test_the_largest_group_comes_first_and_a_pair_is_told_once(session: Any) -> None:
    for code, name, phone in (
        ("A1", "PT Maju Jaya", "021-5550001"),
        ("A2", "Maju Jaya", "021-5550001"),
        ("B1", "Berglunds", "0921-123465"),
        ("B2", "BERGLUNDS AB", ""),
        ("B3", "Berglunds, Ltd", ""),
        ("C1", "Cactus", "011 4300 111"),
        ("C2", "Kaktus", "(11) 4300-111"),
        ("D1", "Drachenblut", "0241-039123"),
    ):
        CustomerFactory(code=code, name=name, phone=phone)
    session.commit()
    found = [
        ("name", ["B1", "B2", "B3"]),
        ("name", ["A1", "A2"]),
        ("phone", ["C1", "C2"]),
    ]
    assert groups(session) == found
    merged = session.scalars(select(Customer).filter_by(code="C2")).one()
    merged.merged_into_id = session.scalars(select(Customer.id).filter_by(code="C1")).one()
    session.commit()
    assert groups(session) == found[:2]


def test_many_groups_come_in_pages_in_few_statements(session: Any, statements: Any) -> None:
    for n in range(60):
        CustomerFactory(name=f"Name {n:02}")
        CustomerFactory(name=f"PT Name {n:02}")
    session.commit()
    with statements() as found:
        assert len(groups(session)) == 50
    assert len(found) <= 5
    assert len(groups(session, 2)) == len(groups(session, 99)) == 10


def test_the_screen_suggests_the_oldest_as_the_one_that_stays(sign_in: Any, session: Any) -> None:
    for code in ("A1", "A2"):
        CustomerFactory(code=code, name="Maju Jaya")
    session.commit()
    browser: FlaskClient = sign_in("finance")
    page = browser.get("/customers/duplicates").text
    assert 'href="/customers/merge?survivor=A1&amp;duplicate=A2"' in page
    assert "Same name" in page
    for one, other in (("A1", "A2"), ("A2", "A1")):
        link = f'href="/customers/merge?survivor={one}&amp;duplicate={other}"'
        assert link in browser.get(f"/customers/{one}").text
        assert link not in sign_in("viewer").get(f"/customers/{one}").text
