"""What is refused of a payment, each with what to do instead. Amounts among the values are Decimals."""

from ...base import N_
from ...base.refusals import Refusal


class NothingPaid(Refusal):
    """A payment, or a part of one, of nothing or of less."""

    sentence = N_("A payment is more than zero. What is forgiven or added is an adjustment.")


class PaysTooMuch(Refusal):
    """An amount that the column cannot hold."""

    sentence = N_("This is more than can be stored. Check the amount.")


class PartsDontAddUp(Refusal):
    """Parts that come to something else than the payment."""

    sentence = N_("The parts come to %(parts)s, but the payment is %(amount)s. Make them add up.")


class OverAllocated(Refusal):
    """More on an invoice than is open. `values` name it: `invoice_id` and `number`."""

    sentence = N_(
        "Of invoice %(number)s only %(open)s is open. Allocate no more than that; the rest can stay on a meter."
    )


class InvoicePaid(OverAllocated):
    """Something on an invoice of which nothing is open."""

    sentence = N_(
        "Invoice %(number)s has been paid in the meantime. Put this amount on another invoice or on a meter."
    )


class InvoiceIsVoid(OverAllocated):
    """Something on an invoice that is void."""

    sentence = N_(
        "Invoice %(number)s is void. Put this amount on another invoice or on a meter instead."
    )


class InvoiceHasNoMeter(OverAllocated):
    """Something on an invoice that counts nowhere itself."""

    sentence = N_("Invoice %(number)s has no meter yet. Give it one first, then pay it.")


class InvoiceUnknown(Refusal):
    """Something on an invoice that does not exist."""

    sentence = N_("One of the invoices does not exist any more. Load the page again.")


class InvoiceOfAnother(Refusal):
    """A payment of one customer on an invoice that is another's to pay."""

    sentence = N_(
        "Invoice %(number)s is of another customer. Choose one that this customer can pay."
    )


class MeterOfAnother(Refusal):
    """A payment of one customer on a meter that never was theirs."""

    sentence = N_(
        "Meter %(number)s was never assigned to this customer. "
        "Choose one of theirs, or assign it to them first."
    )


class ReferenceTaken(Refusal):
    """Two receipts cannot have one reference."""

    field = "reference"
    sentence = N_(
        "There is already a payment %(reference)s. Choose another reference, or leave it empty for the next number."
    )


class PaymentStaysVoid(Refusal):
    """A change of a payment that is void."""

    sentence = N_(
        "Payment %(reference)s is void and stays as it is. Record the payment again instead."
    )
    status = 409


class ReceiptOfSeveral(Refusal):
    """A receipt whose parts are of several customers, which no one form holds."""

    sentence = N_(
        "Payment %(reference)s is of several customers. Make it void, then record one for each of them."
    )
    status = 409


class VoidReasonMissing(Refusal):
    """A void payment says why."""

    sentence = N_("Say why the payment is void. The reason is kept with it.")


class NothingToMove(Refusal):
    """A move to where the payment is."""

    sentence = N_("That is where this payment already is. Choose another invoice or another meter.")
