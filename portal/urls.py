from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path

from orders.views.signin import sign_in

urlpatterns = [
    path("admin/", admin.site.urls),
    path("signin/", sign_in, name="login"),
    path("signout/", auth.LogoutView.as_view(), name="logout"),
    path("", include("orders.urls")),
]

handler400 = "orders.views.errors.bad_request"
handler403 = "orders.views.errors.forbidden"
handler404 = "orders.views.errors.not_found"
handler500 = "orders.views.errors.server_error"
