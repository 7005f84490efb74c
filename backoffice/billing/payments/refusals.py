"""The refusals of payments, each with what to do instead. Amounts among the values are Decimals."""

from ...base import N_
from ...base.refusals import Refusal


class NothingPaid(Refusal):
    """A payment, or a part of one, is 0 or below."""

    sentence = N_("A payment is more than zero. What is forgiven or added is an adjustment.")


class PaysTooMuch(Refusal):
    """The amount is larger than the column can hold."""

    sentence = N_("This is more than can be stored. Check the amount.")


class PartsDontAddUp(Refusal):
    """The parts do not add up to the payment."""

    sentence = N_("The parts come to %(parts)s, but the payment is %(amount)s. Make them add up.")


class OverAllocated(Refusal):
    """More is allocated to an invoice than is open. `values` name it: `invoice_id` and `number`."""

    sentence = N_(
        "Of invoice %(number)s only %(open)s is open. Allocate no more than that; the rest can stay on a meter."
    )


class InvoicePaid(OverAllocated):
    """An amount is allocated to an invoice that is fully paid."""

    sentence = N_(
        "Invoice %(number)s has been paid in the meantime. Put this amount on another invoice or on a meter."
    )


class InvoiceIsVoid(OverAllocated):
    """An amount is allocated to a void invoice."""

    sentence = N_(
        "Invoice %(number)s is void. Put this amount on another invoice or on a meter instead."
    )


class InvoiceHasNoMeter(OverAllocated):
    """An amount is allocated to an invoice without a meter."""

    sentence = N_("Invoice %(number)s has no meter yet. Give it one first, then pay it.")


class NoSuchInvoice(Refusal):
    """A part names an invoice that does not exist."""

    sentence = N_("There is no invoice %(number)s. Send the whole number, as the API shows it.")


class InvoiceUnknown(Refusal):
    """An amount is allocated to an invoice that does not exist."""

    sentence = N_("One of the invoices does not exist any more. Load the page again.")


class InvoiceOfAnother(Refusal):
    """A payment is allocated to an invoice that its customer cannot pay."""

    sentence = N_(
        "Invoice %(number)s is of another customer. Choose one that this customer can pay."
    )


class MeterOfAnother(Refusal):
    """A payment is booked on a meter that was never assigned to its customer."""

    sentence = N_(
        "Meter %(number)s was never assigned to this customer. "
        "Choose one of theirs, or assign it to them first."
    )


class ReferenceTaken(Refusal):
    """Another receipt has the reference."""

    field = "reference"
    sentence = N_(
        "There is already a payment %(reference)s. Choose another reference, or leave it empty for the next number."
    )


class PaymentStaysVoid(Refusal):
    """A void payment was changed."""

    sentence = N_(
        "Payment %(reference)s is void and stays as it is. Record the payment again instead."
    )
    status = 409


class ReceiptOfSeveral(Refusal):
    """The parts of the receipt are of several customers, which one form cannot hold."""

    sentence = N_(
        "Payment %(reference)s is of several customers. Make it void, then record one for each of them."
    )
    status = 409


class VoidReasonMissing(Refusal):
    """A payment was voided without a reason."""

    sentence = N_("Say why the payment is void. The reason is kept with it.")


class NothingToMove(Refusal):
    """The payment was moved to where it is booked."""

    sentence = N_("That is where this payment already is. Choose another invoice or another meter.")
