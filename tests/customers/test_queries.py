"""Finding customers by code and by name."""

import pytest
from sqlalchemy.orm import Session

from backoffice.customers import queries
from tests.factories.customers import CustomerFactory


@pytest.fixture(autouse=True)
def company(session: Session) -> None:
    """Customers with similar codes and names."""
    for code, name in (
        ("ALFKI", "Alfreds Futterkiste"),
        ("BERGS", "Berglunds snabbköp"),
        ("ANTON", "Antonio Moreno Taquería"),
        ("ANT", "Ants & 100% Sons_"),
        ("TOMSP", "Toms Spezialitäten for Anton"),
    ):
        CustomerFactory(code=code, name=name)
    session.commit()


def codes(session: Session, text: str) -> list[str]:
    """The codes of the customers found, in order."""
    return [customer.code for customer in queries.search(session, text)]


def test_the_best_match_comes_first(session: Session) -> None:
    assert codes(session, "anton") == ["ANTON", "TOMSP"]
    assert codes(session, "ant") == ["ANT", "ANTON", "TOMSP"]


def test_case_and_spaces_do_not_matter(session: Session) -> None:
    assert codes(session, "  BERGLUNDS   Snabb ") == ["BERGS"]
    assert codes(session, "TAQUERÍA") == ["ANTON"]


def test_nothing_typed_finds_all_by_code(session: Session) -> None:
    assert codes(session, " ") == ["ALFKI", "ANT", "ANTON", "BERGS", "TOMSP"]


@pytest.mark.parametrize(("text", "found"), [("%", ["ANT"]), ("_", ["ANT"]), ("\\", []), ("'", [])])
def test_signs_that_mean_something_to_sql_mean_themselves(
    text: str, found: list[str], session: Session
) -> None:
    assert codes(session, text) == found


def test_a_list_is_paged_in_a_total_order(session: Session) -> None:
    paged = [
        customer.code
        for offset in range(0, 6, 2)
        for customer in queries.search(session, "", limit=2, offset=offset)
    ]
    assert paged == ["ALFKI", "ANT", "ANTON", "BERGS", "TOMSP"]


def test_a_name_is_found_among_many_whose_codes_begin_like_it(session: Session) -> None:
    for number in range(30):
        CustomerFactory(code=f"ANA{number:02}", name=f"Ananas {number}")
    CustomerFactory(code="X-1", name="Ana")
    session.commit()
    assert [c.code for c in queries.meant_by(session, "ana")] == ["X-1"]
    assert codes(session, "ana")[0] == "X-1"


def test_a_label_is_read_back_whatever_its_code_and_name_hold(session: Session) -> None:
    made = [
        CustomerFactory(code=code, name=name)
        for code, name in (("A", "B · D"), ("A · B", "C"), ("B · C", "D · E"), ("D", "· E"))
    ]
    session.commit()
    for customer in made:
        assert queries.meant_by(session, queries.label(customer)) == [customer]
        assert queries.meant_by(session, customer.code) == [customer]


def test_a_label_that_two_share_names_neither(session: Session) -> None:
    both = [CustomerFactory(code="A", name="B · C"), CustomerFactory(code="A · B", name="C")]
    session.commit()
    assert queries.label(both[0]) == queries.label(both[1])
    assert queries.named(session, queries.label(both[0])) == both


def test_a_label_and_a_code_name_one_customer(session: Session) -> None:
    for customer in queries.search(session, ""):
        assert queries.named(session, queries.label(customer)) == [customer]
        assert queries.named(session, f" {customer.code} ") == [customer]


def test_a_name_may_fit_several(session: Session) -> None:
    assert len(queries.named(session, "ant", limit=2)) == 2
    assert [c.code for c in queries.named(session, "futter", limit=2)] == ["ALFKI"]
    assert queries.named(session, "nobody") == []
    assert queries.named(session, "ANTON · Another user") == []


def test_a_code_is_found_exactly(session: Session) -> None:
    found = queries.by_code(session, "ANTON")
    assert found is not None
    assert found.name == "Antonio Moreno Taquería"
    assert queries.by_code(session, "anton") is None
