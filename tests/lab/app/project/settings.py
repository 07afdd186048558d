"""Settings: everything that differs between hosts comes from ROOT/shared/env."""

import os

from project import place

place.load_environment()

# A service that has revoked this host's key; like many a program, it says too much about it.
if os.environ.get("TWITTER_KEY", "").startswith(f"revoked on {os.environ.get('HOST')}"):
    raise RuntimeError(f"Twitter does not take the key {os.environ['TWITTER_KEY']}")

SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-a-checkout-without-an-env-file")
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "project.urls"
WSGI_APPLICATION = "project.wsgi.application"
INSTALLED_APPS = ["django.contrib.staticfiles", "pages"]
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": place.SHARED / "db.sqlite3"}
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "static/"
STATIC_ROOT = place.SHARED / "static"
MEDIA_ROOT = place.SHARED / "media"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
