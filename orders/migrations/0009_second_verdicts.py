"""An attempt may get a second verdict, each names all orders at the vendor, and a line that was taken back may be bought again."""

import django.db.models.deletion
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def one_to_many(apps: Apps, _editor: BaseDatabaseSchemaEditor) -> None:
    verdicts = apps.get_model("orders", "ParkedVerdict").objects
    for verdict in verdicts.exclude(vendor_order_ref=""):
        verdicts.filter(pk=verdict.pk).update(vendor_order_refs=[verdict.vendor_order_ref])


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0008_quotes"),
    ]

    operations = [
        migrations.AddField(
            model_name="parkedverdict",
            name="vendor_order_refs",
            field=models.JSONField(blank=True, default=list, verbose_name="vendor’s orders"),
        ),
        migrations.RunPython(one_to_many, migrations.RunPython.noop),
        migrations.RemoveField(
            model_name="parkedverdict",
            name="vendor_order_ref",
        ),
        migrations.AlterModelOptions(
            name="parkedverdict",
            options={"ordering": ["id"]},
        ),
        migrations.AlterField(
            model_name="parkedverdict",
            name="attempt",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="parked_verdicts", to="orders.purchaseattempt"
            ),
        ),
        migrations.AlterField(
            model_name="subscription",
            name="line",
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name="subscriptions", to="orders.orderline"),
        ),
        migrations.AddConstraint(
            model_name="subscription",
            constraint=models.UniqueConstraint(
                condition=models.Q(("status", "cancelled"), _negated=True),
                fields=("line",),
                name="one_living_subscription_per_line",
            ),
        ),
    ]
