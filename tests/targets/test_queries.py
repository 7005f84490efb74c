"""Reads of targets: twelve months whatever is stored, and totals that add up."""

from dataclasses import replace
from decimal import Decimal

from backoffice.base.money import max_amount
from backoffice.targets import queries
from tests.factories.people import AccountManagerFactory, UserFactory


def test_a_year_has_twelve_months_and_running_sums(session, finance, nancy, close, aim):
    close(nancy, "1997-01-31", "90")
    close(nancy, "1997-03-01", "30.50")
    aim(nancy, "1997-01", "100")
    aim(nancy, "1997-02", "50")
    year = queries.year_of(session, finance, 1997, nancy.id)
    assert [str(month.month) for month in year.months][::11] == ["1997-01", "1997-12"]
    january, february, march, *_, december = year.months
    assert (january.target, january.achieved, january.difference) == (100, 90, -10)
    assert january.attainment == Decimal("90.0")
    assert (february.target, february.achieved, february.attainment) == (50, 0, 0)
    assert (march.target, march.attainment, march.difference) == (None, None, Decimal("30.50"))
    assert march.running.attainment == Decimal("80.3")
    assert december.running == year.total
    assert (year.total.target, year.total.achieved) == (150, Decimal("120.50"))
    assert (year.total.difference, year.total.orders_closed) == (Decimal("-29.50"), 2)
    assert sum(month.difference for month in year.months) == year.total.difference
    session.commit()


def test_a_year_without_anything_is_all_zeros(session, finance):
    year = queries.year_of(session, finance, 2030, None)
    assert {month.achieved for month in year.months} == {Decimal(0)}
    assert (year.total.target, year.total.attainment) == (None, None)


def test_a_year_of_everybody_is_the_sum_of_each(session, finance, nancy, close, aim):
    andrew = AccountManagerFactory(name="Andrew Fuller")
    idle = AccountManagerFactory(name="Zoe Idle")
    close(nancy, "1997-01-31", "90")
    close(andrew, "1997-01-01", "10")
    close(andrew, "1998-01-01", "999")
    aim(andrew, "1997-12", "40")
    rows = queries.managers_of_year(session, finance, 1997, limit=50, offset=0)
    assert [(row.name, row.target, row.achieved, row.attainment) for row in rows] == [
        ("Andrew Fuller", 40, 10, 25),
        ("Nancy Davolio", None, 90, None),
        (idle.name, None, 0, None),
    ]
    total = queries.year_of(session, finance, 1997, None).total
    assert sum(row.achieved for row in rows) == total.achieved
    assert sum(row.difference for row in rows) == total.difference
    assert sum(row.orders_closed for row in rows) == total.orders_closed == 2
    session.commit()


def test_attainment_of_no_target_or_of_zero_is_unknown(session, finance, nancy, close, aim):
    close(nancy, "1997-01-31", "90")
    aim(nancy, "1997-01", "0")
    january = queries.year_of(session, finance, 1997, nancy.id).months[0]
    assert (january.target, january.attainment) == (0, None)
    assert replace(january, attainment=None) == january
    session.commit()


def test_an_account_manager_sees_only_their_own(session, nancy, close):
    other = AccountManagerFactory()
    close(nancy, "1997-01-31", "90")
    close(other, "1999-01-31", "10")
    assert queries.year_of(session, nancy, 1997, None).total.achieved == 90
    assert queries.year_of(session, nancy, 1999, other.id).total.achieved == 0
    assert queries.manager_of(session, nancy, other.id) is None
    assert queries.managers(session, nancy) == [nancy]
    assert list(queries.years(session, nancy)) == [1997]


def test_managers_are_those_by_role_and_those_who_sold(session, finance, nancy, close):
    seller = UserFactory(role="viewer", name="Former Manager")
    AccountManagerFactory(name="Gone and never sold", is_active=False)
    close(seller, "1997-01-31", "90")
    assert [person.name for person in queries.managers(session, finance)] == [
        "Former Manager",
        "Nancy Davolio",
    ]


def test_a_year_of_many_may_come_to_more_than_one_amount_can_be(session, finance, close, aim):
    most = max_amount()
    for number in range(3):
        manager = AccountManagerFactory(name=f"Manager {number}")
        close(manager, "1997-01-05", str(most))
        aim(manager, "1997-02", str(most))
    year = queries.year_of(session, finance, 1997, None)
    assert (year.total.achieved, year.total.target) == (3 * most, 3 * most)
    assert year.total.attainment == Decimal("100.0")
    listed = queries.managers_of_year(session, finance, 1997, limit=50, offset=0)
    assert sum(manager.achieved for manager in listed) == 3 * most
