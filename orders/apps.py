from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class OrdersConfig(AppConfig):
    name = "orders"
    verbose_name = "Seller portal"

    def ready(self) -> None:
        from orders import checks, failures, guards

        checks.register_all()
        pre_migrate.connect(guards.before_migrate, sender=self)
        post_migrate.connect(guards.after_migrate, sender=self)
        post_migrate.connect(failures.add_missing, sender=self)
