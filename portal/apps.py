from django.contrib.admin.apps import AdminConfig


class StaffAdminConfig(AdminConfig):
    """Django admin for staff, on our own site object (orders.admin.site) so that signing in goes one way for everybody."""

    default_site = "orders.admin.site.StaffSite"
