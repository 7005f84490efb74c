"""The entered fields of a customer, in the order of the form."""

from ..base import N_
from ..base.identifiers import is_visible
from ..records import Law, Text
from .models import Customer
from .rules import CODE_LENGTH, is_code

FIELDS = (
    Text(
        Customer.code, N_("Code"), longest=CODE_LENGTH, required=N_("Enter a code."),
        laws=(Law(is_code, N_("This cannot be part of a web address. Write a code like ALFKI, C-001 or PT/001.")),),
        taken=N_("There is already a customer %(code)s. Choose another code."),
        help=N_("Files and people refer to the customer by it."), attributes={"spellcheck": "false"},
    ),
    Text(
        Customer.name, N_("Name"), required=N_("Enter a name."),
        laws=(Law(is_visible, N_("Write a name with a letter or a digit that one can see.")),),
    ),
    Text(Customer.contact_name, N_("Contact")),
    Text(Customer.phone, N_("Phone"), attributes={"inputmode": "tel"}),
    Text(Customer.city, N_("City")),
    Text(Customer.country, N_("Country")),
)  # fmt: skip

CODE, NAME, CONTACT, PHONE, CITY, COUNTRY = FIELDS

MERGED = tuple(field.name for field in FIELDS if field is not CODE)
"""The columns of which a merge keeps one value; each row keeps its own code, which refers to the survivor."""
