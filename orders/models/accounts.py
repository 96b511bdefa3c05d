"""Who uses the portal: people, the sellers they work for, and in which role."""

from typing import ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models
from django.db.models.functions import Lower


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: object) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.full_clean(exclude=["password"])
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person. Signs in by e-mail; works for one seller at most, or is staff of the platform."""

    email = models.EmailField("e-mail", unique=True, error_messages={"unique": "Somebody signs in with this e-mail already."})
    name = models.CharField(max_length=150)
    is_staff = models.BooleanField("staff", default=False, help_text="May use the admin.")
    is_active = models.BooleanField("active", default=True, help_text="Clear this instead of deleting people.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(email=Lower("email")), name="user_email_is_lower_case")]

    def __str__(self) -> str:
        return self.name or self.email


class Seller(models.Model):
    """A reseller: the tenant. Everything but vendors, offers and the failure catalogue belongs to one."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, default="EUR")
    time_zone = models.CharField(max_length=60, default="Europe/Amsterdam")
    tax_rate = models.DecimalField(max_digits=5, decimal_places=2, default=21, help_text="Percent; the default of a new customer.")
    is_active = models.BooleanField(default=True, help_text="Clear this instead of deleting a seller.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    ADMIN = "admin", "Seller admin"
    ACCOUNT_MANAGER = "account_manager", "Account manager"
    VIEWER = "viewer", "Viewer"


class Membership(models.Model):
    """A person's role at the seller he works for."""

    user = models.OneToOneField(User, on_delete=models.PROTECT, related_name="membership")
    seller = models.ForeignKey(Seller, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=Role)
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return f"{self.user}, {self.get_role_display()} of {self.seller}"

    @property
    def may_write(self) -> bool:
        return self.role in {Role.ADMIN, Role.ACCOUNT_MANAGER}

    @property
    def may_see_cost(self) -> bool:
        """Viewers never see cost or margin (product.md section 3)."""
        return self.role in {Role.ADMIN, Role.ACCOUNT_MANAGER}
