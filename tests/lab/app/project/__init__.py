"""The sample application: small, but a real Django project with a database and a Celery worker."""
