"""The entered fields of a product, in the order of the form, and of a price."""

from ..base import N_, periods
from ..records import Choice, Day, Flag, Law, Text, UnitPrice
from .models import Product, ProductPrice
from .rules import CODE_LENGTH, NAME_LENGTH, SOLD_AS, UNIT_LENGTH, is_code

FIELDS = (
    Text(
        Product.code, N_("Code"), longest=CODE_LENGTH, required=N_("Enter a code."),
        laws=(Law(is_code, N_("This cannot be part of a web address. Write a code like CHAI or P-001.")),),
        taken=N_("There is already a product %(code)s. Choose another code."),
        help=N_("By this code files and people know the product."), attributes={"spellcheck": "false"},
    ),
    Text(
        Product.name, N_("Name"), longest=NAME_LENGTH, required=N_("Enter a name."),
        help=N_("It becomes the description of a line."),
    ),
    Choice(Product.kind, N_("Sold as"), words=SOLD_AS, usual="package", is_short=True),
    Text(Product.unit, N_("Unit"), longest=UNIT_LENGTH, is_short=True),
    Flag(
        Product.is_active, N_("Can be chosen in orders"), usual=True,
        help=N_("Lines that name the product keep it, whether it is still sold or not."),
    ),
)  # fmt: skip

CODE, NAME, KIND, UNIT, IS_ACTIVE = FIELDS

PRICE = UnitPrice(ProductPrice.unit_price, N_("Unit price"), usual=None, is_short=True)
IN_FORCE = Day(ProductPrice.effective_from, N_("In force from"), usual=periods.today, is_short=True)
