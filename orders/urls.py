from django.urls import path

from orders.views import catalogue, customers, demo_mail, health, help, order_actions, order_form, order_list, order_page, settings

app_name = "orders"
urlpatterns = [
    path("", order_list.home, name="home"),
    path("orders/", order_list.recent, name="order-list"),
    path("orders/historical/", order_list.historical, name="order-historical"),
    path("orders/live/", order_list.live, name="order-live"),
    path("orders/new/", order_form.new, name="order-new"),
    path("orders/<str:number>/", order_page.detail, name="order-detail"),
    path("orders/<str:number>/edit/", order_form.edit, name="order-edit"),
    path("orders/<str:number>/place/", order_actions.place, name="order-place"),
    path("orders/<str:number>/retry/", order_actions.retry, name="order-retry"),
    path("orders/<str:number>/close/", order_actions.close, name="order-close"),
    path("orders/<str:number>/delete/", order_actions.delete, name="order-delete"),
    path("orders/<str:number>/duplicate/", order_actions.duplicate, name="order-duplicate"),
    path("orders/<str:number>/undo/", order_actions.undo, name="order-undo"),
    path("orders/<str:number>/stop/", order_actions.stop, name="order-stop"),
    path("orders/<str:number>/notes/", order_actions.note, name="order-note"),
    path("customers/", customers.customer_list, name="customer-list"),
    path("orders/<str:number>/reprice/", order_actions.reprice, name="order-reprice"),
    path("catalogue/", catalogue.offer_list, name="offer-list"),
    path("catalogue/<str:code>/", catalogue.offer_detail, name="offer-detail"),
    path("customers/new/", customers.new, name="customer-new"),
    path("customers/<str:code>/", customers.detail, name="customer-detail"),
    path("customers/<str:code>/edit/", customers.edit, name="customer-edit"),
    path("customers/<str:code>/archive/", customers.archive, name="customer-archive"),
    path("customers/<str:code>/restore/", customers.restore, name="customer-restore"),
    path("help/", help.help_index, name="help"),
    path("help/statuses/", help.help_statuses, name="help-statuses"),
    path("help/failures/", help.help_failures, name="help-failures"),
    path("help/sandbox/", help.help_sandbox, name="help-sandbox"),
    path("settings/", settings.company, name="settings"),
    path("demo/mail/", demo_mail.sent, name="demo-mail"),
    path("healthz", health.healthz, name="healthz"),
]
