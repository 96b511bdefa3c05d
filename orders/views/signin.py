"""Where somebody lands who signs in."""

from django.contrib.auth.views import LoginView
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from orders.forms.people import SignInForm
from orders.models import User


class SignIn(LoginView):
    """Staff who work for no seller go to the admin: every other page would only tell them so."""

    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_success_url(self) -> str:
        wanted, admin = super().get_success_url(), reverse("admin:index")
        person = self.request.user
        assert isinstance(person, User)
        is_at_home = not person.is_staff or person.works_somewhere
        return wanted if is_at_home or wanted.startswith(admin) else admin


sign_in = require_http_methods(["GET", "HEAD", "POST"])(SignIn.as_view())
