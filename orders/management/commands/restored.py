"""`manage.py restored`: say that a backup of the database was restored, where the file beside it was restored, too."""

from typing import Any

from django.core.management.base import BaseCommand

from orders import epoch


class Command(BaseCommand):
    help = "A backup of the database was restored: vendors are asked what became of open orders before anything is sent."

    def handle(self, *args: Any, **options: Any) -> None:
        epoch.declare_restored()
        self.stdout.write("Nothing is sent until every open order was compared with what its vendor has. The worker does it by itself.")
