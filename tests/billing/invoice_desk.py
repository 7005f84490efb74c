"""The invoices of Wanjiru for the tests of their screens: forms, and what is stored."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from backoffice.billing.models import Invoice, Meter
from backoffice.customers.models import Customer
from tests.factories.billing import InvoiceFactory, MeterAssignmentFactory, MeterFactory
from tests.factories.customers import CustomerFactory
from tests.orders.pages import outputs_of as raw_outputs_of
from tests.orders.pages import text_of
from tests.targets.pages import fields_of


def wanjiru(session: Any) -> Customer:
    """Wanjiru with the meter M-1; M-2 is Otieno's."""
    made = CustomerFactory(code="C-1", name="Wanjiru")
    MeterAssignmentFactory(meter=MeterFactory(number="M-1"), customer=made)
    otieno = CustomerFactory(code="C-2", name="Otieno")
    MeterAssignmentFactory(meter=MeterFactory(number="M-2"), customer=otieno)
    session.commit()
    return made


def meter(session: Any, number: str = "M-1") -> Meter:
    return session.query(Meter).filter_by(number=number).one()


def invoice_of(session: Any, customer: Customer, **changes: Any) -> Invoice:
    given = {"number": "INV-1", "meter": meter(session), "customer": session.merge(customer)}
    made = InvoiceFactory(**given | changes)
    session.commit()
    return made


def form_at(client: FlaskClient, path: str, form_id: str = "invoice-form") -> MultiDict[str, str]:
    page = client.get(path)
    assert page.status_code == 200, page.text
    return fields_of(page.text, form_id)


def filled(client: FlaskClient, path: str, **changes: str) -> MultiDict[str, str]:
    typed = form_at(client, path)
    for name, value in changes.items():
        typed[name] = value
    return typed


def new(client: FlaskClient, **changes: str) -> MultiDict[str, str]:
    """The form of a new invoice of Wanjiru: 12.5 units at 100 and 250."""
    usage = {
        "customer": "C-1",
        "meter": "M-1",
        "units": "12.5",
        "rate": "100",
        "fixed_charge": "250",
    }
    return filled(client, "/billing/invoices/new", **usage | changes)


def outputs_of(html: str) -> dict[str, str]:
    """The text of every output, with plain spaces."""
    return {name: shown.replace("\xa0", " ") for name, shown in raw_outputs_of(html).items()}


def only(session: Any) -> Invoice:
    session.rollback()
    return session.query(Invoice).one()


def words(answer: Any, status: int = 200) -> str:
    assert answer.status_code == status, answer.text
    return text_of(answer.text)
