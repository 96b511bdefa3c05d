"""Settings of the portal: one file, every value from the environment, closed unless opened.

Profiles (PORTAL_PROFILE):
  production  the default; refuses to start without keys, hosts and a database
  demo        what `manage.py up` starts: loopback only, keys generated into var/
  test        the suite; keys are fixed, passwords hash fast
"""

import os
import secrets
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.csp import CSP

BASE_DIR = Path(__file__).resolve().parent.parent


def env(name: str, default: str | None = None) -> str:
    """The value of an environment variable, or of the file that NAME_FILE points to; says what is missing otherwise."""
    if file := os.environ.get(f"{name}_FILE"):
        return Path(file).read_text().strip()
    value = os.environ.get(name, default)
    if value is None:
        raise ImproperlyConfigured(
            f"{name} is not set. The {PROFILE} profile does not start without it; README, section Settings, explains it."
        )
    return value


def env_number(name: str, default: float) -> float:
    value = os.environ.get(name)
    try:
        return default if value is None else float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {value!r}.") from None


PROFILE = os.environ.get("PORTAL_PROFILE", "production")
if PROFILE not in {"production", "demo", "test"}:
    raise ImproperlyConfigured(f"PORTAL_PROFILE is {PROFILE!r}; it must be production, demo or test.")
IS_DEMO = PROFILE == "demo"
IS_LOCAL = PROFILE in {"demo", "test"}

# All run-time data: database, sandbox ledger, keys, collected static files. `up --fresh` removes it together.
VAR_DIR = Path(os.environ.get("PORTAL_VAR", BASE_DIR / "var"))


def local_key(name: str) -> str:
    """A secret of the demo, generated once into var/; tests get a fixed one so that nothing is written."""
    if PROFILE == "test":
        return f"test-{name}-" + "0" * 40
    path = VAR_DIR / f"{name}.key"
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(48))
        return path.read_text()
    except OSError as error:
        raise ImproperlyConfigured(f"The folder {VAR_DIR} can't be written: {error.strerror}. The portal keeps its data there.") from None


DEBUG = False
SECRET_KEY = env("SECRET_KEY", local_key("secret") if IS_LOCAL else None)
# Comma list; the first key encrypts, all decrypt (rotation). Any text of 32 characters or more.
CREDENTIAL_KEYS = env("CREDENTIAL_KEYS", local_key("credentials") if IS_LOCAL else None).split(",")
if any(len(key) < 32 for key in [SECRET_KEY, *CREDENTIAL_KEYS]):
    raise ImproperlyConfigured("SECRET_KEY and every key of CREDENTIAL_KEYS must have at least 32 characters.")

ALLOWED_HOSTS = ["127.0.0.1", "localhost", "[::1]"] if IS_LOCAL else env("ALLOWED_HOSTS").split(",")
if "*" in ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS must name hosts; * would answer for any.")

INSTALLED_APPS = [
    "portal.apps.StaffAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",  # its templates, for TemplatesSetting
    "axes",
    "django_fsm",
    "django_htmx",
    "django_tasks_db",
    "orders",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.csp.ContentSecurityPolicyMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "orders.scoping.SignedInMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "orders.scoping.SellerMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "orders.scoping.seller_context",
            ],
        },
    }
]

# Widgets are drawn by the templates of the portal where it has its own (templates/django/forms/), else by Django's.
FORM_RENDERER = "django.forms.renderers.TemplatesSetting"

# --- database -------------------------------------------------------------------------------------------------------

SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL;"
    "PRAGMA synchronous=FULL;"  # NORMAL does not sync a commit: a power cut may forget an order that went to a vendor
    "PRAGMA foreign_keys=ON;"
    "PRAGMA recursive_triggers=ON;"  # without it INSERT OR REPLACE rewrites a historical order past the triggers
    "PRAGMA temp_store=MEMORY;"
    "PRAGMA journal_size_limit=27103364;"
)


def database(url: str) -> dict[str, object]:
    """Django's settings for `sqlite:///path` or `postgresql://user:password@host:port/name`."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": unquote(parts.path),
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 10, "init_command": SQLITE_PRAGMAS},
        }
    if parts.scheme in {"postgres", "postgresql"}:
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": parts.hostname or "",
            "PORT": str(parts.port or ""),
            "CONN_HEALTH_CHECKS": True,  # after a restart of the server the pool would hand out dead connections
            "OPTIONS": {"pool": {"min_size": 1, "max_size": 8, "timeout": 10}},
        }
    raise ImproperlyConfigured(f"DATABASE_URL must begin with sqlite:/// or postgresql://, not {parts.scheme!r}.")


DATABASES = {"default": database(env("DATABASE_URL", f"sqlite://{VAR_DIR / 'portal.sqlite3'}" if IS_LOCAL else None))}

# --- people ---------------------------------------------------------------------------------------------------------

AUTH_USER_MODEL = "orders.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
if PROFILE == "test":
    PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "orders:order-list"
LOGOUT_REDIRECT_URL = "login"

# Five wrong passwords for one address from one place close the door for ten minutes; nobody else is locked out.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=10)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"  # the name of the input; axes would look for the model's field
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked.html"
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False
AXES_IPWARE_PROXY_COUNT = int(env_number("PROXY_COUNT", 0))
SILENCED_SYSTEM_CHECKS = ["axes.W001"]

# --- background work ------------------------------------------------------------------------------------------------

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

# One vendor call must end before its lease does: an expired lease means that nobody is sending any more.
PURCHASE_DEADLINE_SECONDS = env_number("PURCHASE_DEADLINE_SECONDS", {"production": 90, "demo": 20, "test": 3}[PROFILE])
PURCHASE_LEASE_SECONDS = env_number("PURCHASE_LEASE_SECONDS", {"production": 180, "demo": 30, "test": 4}[PROFILE])
if PURCHASE_LEASE_SECONDS <= PURCHASE_DEADLINE_SECONDS:
    raise ImproperlyConfigured("PURCHASE_LEASE_SECONDS must be longer than PURCHASE_DEADLINE_SECONDS.")
# Waits of the engine, in seconds; the demo's vendor answers in seconds, so its portal asks in seconds.
# Exists nowhere, and is what demo and tests write their e-mail addresses with (RFC 2606).
RESERVED_TOP_LEVEL_DOMAINS = frozenset({"example"}) if IS_LOCAL else frozenset()
# After the first looks, by how long the order has been waiting (seconds of age, seconds between looks); then once a day.
POLL_SECONDS = [2, 2, 3, 5, 5] if IS_LOCAL else [10, 30, 120, 300]
POLL_BY_AGE = [(8 * 86400, 10)] if IS_LOCAL else [(86400, 900), (8 * 86400, 3600)]
POLL_PERSON_SECONDS = 10 if IS_LOCAL else 3600  # somebody else must act first
UNKNOWN_SECONDS = [1, 2, 5, 15] if IS_LOCAL else [60, 120, 300, 900, 3600, 21600]
BUSY_SECONDS = [4, 6, 8, 10] if IS_LOCAL else [60, 120, 300, 900]
HELD_SECONDS = 2 if IS_LOCAL else 30  # between looks whether sending is allowed again
SWEEP_SECONDS = env_number("SWEEP_SECONDS", 1 if IS_LOCAL else 5)
REWAKE_SECONDS = 3 if IS_LOCAL else 60
# Outside the database, and not restored with it: tells a restored backup from a running portal (orders/epoch.py).
EPOCH_FILE = Path(env("EPOCH_FILE", str(VAR_DIR / "epoch.json")))
# Loopback vendors over plain http exist in the demo and the tests only.
VENDOR_ALLOW_LOOPBACK = IS_LOCAL
# Whose certificates sign webhooks: hosts that may be asked for one (that of Microsoft's documentation), and the organisation it names.
WEBHOOK_CERTIFICATE_HOSTS = frozenset(
    host.strip().lower() for host in env("WEBHOOK_CERTIFICATE_HOSTS", "3psostorageacct.blob.core.windows.net").split(",") if host.strip()
)
WEBHOOK_ORGANISATION = env("WEBHOOK_ORGANISATION", "Microsoft Corporation")
# PEM file of authorities that must have signed the certificate, in place of the system's; the demo's vendor signs by himself.
WEBHOOK_AUTHORITIES = env("WEBHOOK_AUTHORITIES", "")
# So many refused events of an account in an hour are told to staff.
WEBHOOK_REFUSALS_TOLD = 10
# Whole seconds that the demo and the tests add to the clock; the sandbox vendor reads the same file.
CLOCK_FILE = VAR_DIR / "clock" if IS_LOCAL else None

# --- mail -----------------------------------------------------------------------------------------------------------

# Where people reach the portal, for links in mails: never taken from a request, whose Host a stranger may choose.
PORTAL_URL = env("PORTAL_URL", "http://127.0.0.1:8000" if IS_LOCAL else None).rstrip("/")
if urlsplit(PORTAL_URL).scheme not in ({"http", "https"} if IS_LOCAL else {"https"}) or not urlsplit(PORTAL_URL).hostname:
    raise ImproperlyConfigured(f"PORTAL_URL must be the portal's address, beginning with https://, not {PORTAL_URL!r}.")
MAIL_HOST = os.environ.get("MAIL_HOST", "")
DEFAULT_FROM_EMAIL = env("MAIL_FROM", f"Seller Portal <no-reply@{urlsplit(PORTAL_URL).hostname}>")
MAIL_SECURITY = env("MAIL_SECURITY", "starttls")
if MAIL_SECURITY not in {"starttls", "tls", "none"}:
    raise ImproperlyConfigured(f"MAIL_SECURITY must be starttls, tls or none, not {MAIL_SECURITY!r}.")
if IS_LOCAL:
    MAILERS: dict[str, dict[str, object]] = {"default": {"BACKEND": "orders.mail.KeptMail"}}
elif MAIL_HOST:
    MAILERS = {
        "default": {
            "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "OPTIONS": {
                "host": MAIL_HOST,
                "port": int(env_number("MAIL_PORT", {"starttls": 587, "tls": 465, "none": 25}[MAIL_SECURITY])),
                "username": env("MAIL_USER", ""),
                "password": env("MAIL_PASSWORD", ""),
                "use_tls": MAIL_SECURITY == "starttls",
                "use_ssl": MAIL_SECURITY == "tls",
                "timeout": 10,
            },
        }
    }
else:
    MAILERS = {"default": {"BACKEND": "orders.mail.NoMailHost"}}
# How long failures collect, so that many at once are one mail.
NOTICE_SECONDS = env_number("NOTICE_SECONDS", {"production": 60, "demo": 5, "test": 0}[PROFILE])
# Waits before a mail is tried again; in one place with orders.models.notices.MAX_TRIES.
NOTICE_RETRY_SECONDS = [1, 2, 4, 8] if IS_LOCAL else [60, 300, 1800, 7200]

# --- pages ----------------------------------------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-gb"
USE_I18N = True

MEDIA_ROOT = VAR_DIR / "uploads"  # logos; served by a view of their own, never as files
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- security -------------------------------------------------------------------------------------------------------

SECURE_CSP = {
    "default-src": [CSP.NONE],
    "script-src": [CSP.SELF],
    "style-src": [CSP.SELF],
    "img-src": [CSP.SELF],
    "font-src": [CSP.SELF],
    "connect-src": [CSP.SELF],
    "form-action": [CSP.SELF],
    "base-uri": [CSP.NONE],
    "frame-ancestors": [CSP.NONE],
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 60 * 60
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "orders.views.errors.csrf_failure"
if not IS_LOCAL:
    SECURE_SSL_REDIRECT = True
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if AXES_IPWARE_PROXY_COUNT else None
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
    CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS if not host.startswith(".")]

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"links": {"()": "orders.secrets.HidesLinks"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["links"]}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("LOG_LEVEL", "INFO")},
    "loggers": {
        "httpx": {"level": "WARNING"},  # its INFO line prints whole addresses
        "django.tasks": {"level": "WARNING"},
        "django_tasks_db": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
    },
}
