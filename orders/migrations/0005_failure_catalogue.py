"""More kinds of retry in the failure catalogue. Its new entries come from the seed files after the migration."""

from typing import Any

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# Entries that a portal has from before, and what is now known of them; the first two are how they came. What staff wrote stays.
CHANGED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "stale-catalogue": (
        "retry",
        "Retry: the order is sent with the new catalogue.",
        {
            "retry": "refresh",
            "who": "vendor",
            "fix": "We read the new catalogue and send the order once more by ourselves. If it was refused again, retry it.",
        },
    ),
    "vendor-busy": ("retry", "Retry in a few minutes.", {"retry": "wait", "wait_minutes": 2}),
    "vendor-down": ("retry", "Retry in a few minutes.", {"retry": "wait", "wait_minutes": 5}),
    "account-locked": (
        "never",
        "Only {vendor} can unlock the account. Close this order; place a new one when the account is open again.",
        {
            "retry": "staff",
            "fix": "Only {vendor} can unlock the account. Contact our support with the order number: they ask {vendor} and send the order "
            "again when the account is open.",
        },
    ),
    "risk-check": (
        "fix",
        "Ask the vendor’s support why before you try again. A smaller quantity or another offer may pass.",
        {
            "retry": "staff",
            "fix_field": "",
            "fix_label": "",
            "fix": "Contact our support with the order number: they ask {vendor} why, and send the order again when it may pass.",
        },
    ),
    "contact-email-domain-used": (
        "fix",
        "Choose another domain, correct the contact email beside it, then retry.",
        {"needs_new_domain": True},
    ),
    "domain-in-use": ("fix", "Choose another domain, then retry.", {"needs_new_domain": True}),
    "domain-taken": ("fix", "Choose another domain, then retry.", {"needs_new_domain": True}),
}


def sort_anew(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    reasons = apps.get_model("orders", "FailureReason").objects.using(schema_editor.connection.alias)
    for slug, (retry, fix, now) in CHANGED.items():
        reasons.filter(slug=slug, retry=retry, fix=fix).update(**now)


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0004_exact_term_price"),
    ]

    operations = [
        migrations.AddField(
            model_name="failurereason",
            name="needs_new_domain",
            field=models.BooleanField(
                default=False,
                help_text="The answer used the domain up: no retry while the customer still has the domain that was sent.",
            ),
        ),
        migrations.AddField(
            model_name="failurereason",
            name="wait_minutes",
            field=models.PositiveIntegerField(default=0, help_text="With “Wait” alone: how long until the next try."),
        ),
        migrations.AlterField(
            model_name="failurereason",
            name="retry",
            field=models.CharField(
                choices=[
                    ("fix", "Fix, then retry"),
                    ("retry", "Retry as it is"),
                    ("later", "Somebody else acts first, then retry"),
                    ("wait", "Wait: tried again by itself"),
                    ("refresh", "Refresh and redo by itself"),
                    ("look", "Look first whether it happened, by itself"),
                    ("never", "Do not retry"),
                    ("staff", "Our staff act, then they retry"),
                ],
                max_length=20,
            ),
        ),
        migrations.RunPython(sort_anew, migrations.RunPython.noop),
    ]
