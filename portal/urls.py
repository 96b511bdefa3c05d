from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import include, path
from django.views.decorators.http import require_http_methods

from orders.forms.people import SignInForm

sign_in = require_http_methods(["GET", "HEAD", "POST"])(
    auth.LoginView.as_view(authentication_form=SignInForm, redirect_authenticated_user=True)
)

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
