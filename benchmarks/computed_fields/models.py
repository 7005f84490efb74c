"""Orders and lines over the app's own tables, their stored totals as `@computed` fields.

Written as its documentation recommends: dependencies are named, the lines are fetched once for a whole
queryset by `prefetch_related`. A component of a kind that is not itemised is an amount that a user entered.
"""

from decimal import ROUND_HALF_UP, Decimal

from computedfields.models import ComputedFieldsModel, computed
from django.contrib.postgres.fields import ArrayField
from django.db import models

OF_LINES = [("self", ["itemised"]), ("lines", ["kind", "amount"])]
"""The dependencies of a component."""


def money() -> models.DecimalField:
    return models.DecimalField(max_digits=15, decimal_places=2, default=Decimal(0))


class Order(ComputedFieldsModel):
    number = models.TextField(unique=True)
    customer_id = models.BigIntegerField()
    account_manager_id = models.BigIntegerField()
    order_date = models.DateField()
    closing_date = models.DateField(null=True)
    itemised = ArrayField(models.TextField(), default=list)
    version = models.IntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "computed_fields"
        db_table = "orders"
        managed = False

    @computed(money(), depends=OF_LINES, prefetch_related=["lines"])
    def total_price(self):
        return self._component("package", self.total_price)

    @computed(money(), depends=OF_LINES, prefetch_related=["lines"])
    def additions(self):
        return self._component("addition", self.additions)

    @computed(money(), depends=OF_LINES, prefetch_related=["lines"])
    def promo(self):
        return self._component("promo", self.promo)

    @computed(money(), depends=OF_LINES, prefetch_related=["lines"])
    def reductions(self):
        return self._component("reduction", self.reductions)

    @computed(money(), depends=[("self", ["total_price", "additions", "promo", "reductions"])])
    def grand_total(self):
        return self.total_price + self.additions - self.promo - self.reductions

    def _component(self, kind, entered):
        lines = self.lines.all() if self.pk else ()
        amounts = [line.amount for line in lines if line.kind == kind]
        return sum(amounts, Decimal(0)) if amounts or kind in self.itemised else entered


class OrderLine(ComputedFieldsModel):
    order = models.ForeignKey(Order, models.CASCADE, related_name="lines")
    position = models.IntegerField(default=0)
    kind = models.TextField()
    product_id = models.BigIntegerField(null=True)
    description = models.TextField(default="")
    quantity = models.DecimalField(max_digits=15, decimal_places=3)
    unit_price = models.DecimalField(max_digits=15, decimal_places=4)

    class Meta:
        app_label = "computed_fields"
        db_table = "order_lines"
        managed = False

    @computed(money(), depends=[("self", ["quantity", "unit_price"])])
    def amount(self):
        return (self.quantity * self.unit_price).quantize(Decimal("0.01"), ROUND_HALF_UP)
